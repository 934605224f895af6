"""Which privileged bridges there are, and which of them can be started (docs/superuser.md). Starts nothing but
`sudo --help`, and changes nothing."""

import os
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from spanbridge.manifests.model import UNIT, Rule

from ..wire.find_program import find_program

TWICE: Final = "a privileged bridge with the same id comes before it"
LONGEST_SECONDS: Final = 86_400.0  # a program, or a socket, is waited for; much more they would not take


def ident_of(rule: Rule) -> str:
    """What a privileged bridge is called by."""
    return rule.label or rule.spawn[0].rpartition("/")[2]


def offer(
    rules: Iterable[Rule], environ: Mapping[str, str], sudo_seconds: float
) -> tuple[dict[str, Rule], list[tuple[Rule, str]]]:
    """The privileged rules that can be started, by id, in order; and those that are left out, with the reason.

    `environ`: where programs are looked for, unless a rule's own has a PATH, and the system bus. `sudo` is run for
    this, and the bus is asked.
    """
    offered: dict[str, Rule] = {}
    left_out: list[tuple[Rule, str]] = []
    seconds = min(sudo_seconds, LONGEST_SECONDS)
    for rule in rules:
        why, sudo = Look(TWICE) if ident_of(rule) in offered else look(rule, environ, seconds)
        if sudo:
            from ..wire.waited_for import wait_for  # the tools that tell what is offered need it, and no session

            try:
                told = wait_for([sudo, "--help"], None, seconds)
                why = lacking(sudo, told and told[1], seconds)
            except OSError as error:
                why = f"{sudo}: {error.strerror}"
        if why is None:
            offered[ident_of(rule)] = rule
        else:
            left_out.append((rule, why))
    return offered, left_out


def in_turn(offered: Mapping[str, Rule]) -> dict[str, Rule]:
    """What `any` stands for: those that are tried, in order."""
    labelled = {ident: rule for ident, rule in offered.items() if rule.label is not None}
    return labelled or dict(offered)


class Look(NamedTuple):
    """What there is to say of a privileged rule without starting anything."""

    why: str | None = None
    """Why it cannot be started; None: it can, as far as can be told."""
    sudo: str = ""
    """The sudo that is to be asked what it can; empty: none."""


def look(rule: Rule, environ: Mapping[str, str], seconds: float) -> Look:
    """Looks at files, or asks the system bus, which may take `seconds`."""
    own = [entry.removeprefix("PATH=") for entry in rule.environ if entry.startswith("PATH=")]
    if rule.directory and not os.path.isdir(rule.directory):
        return Look(f"its directory {rule.directory} is not there")
    program = find_program(rule.spawn[0], {"PATH": own[-1]} if own else environ, rule.directory)
    if program is None:
        return Look(f"{rule.spawn[0]} is not found, or may not be run")
    if rule.method == UNIT:
        from .systemd import missing  # few rules need it

        return Look(missing(environ, seconds))
    is_sudo = program.rpartition("/")[2] == "sudo"
    return Look(sudo=os.path.join(rule.directory or "", program) if is_sudo else "")


def lacking(sudo: str, told: bytes | None, seconds: float) -> str | None:
    """Why a sudo that has `told` this on `--help` cannot be used; `told` is None where it had not ended in time."""
    if told is None:
        return f"{sudo} --help took more than {seconds:g} s (sudo_seconds)"
    return None if b"askpass" in told else f"{sudo} --help does not speak of askpass"
