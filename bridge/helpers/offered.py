"""Which privileged bridges there are, and which of them can be started (docs/superuser.md). Starts nothing but
`sudo --help`, and changes nothing."""

import os
from collections.abc import Iterable, Mapping
from typing import Final

from spanbridge.manifests.model import UNIT, Rule
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..wire.find_program import find_program

TWICE: Final = "a privileged bridge with the same id comes before it"
_LONGEST_SECONDS: Final = 86_400.0  # a program, or a socket, is waited for; much more they would not take


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
    sudo_seconds = min(sudo_seconds, _LONGEST_SECONDS)
    for rule in rules:
        why = TWICE if ident_of(rule) in offered else _unusable(rule, environ, sudo_seconds)
        if why is None:
            offered[ident_of(rule)] = rule
        else:
            left_out.append((rule, why))
    return offered, left_out


async def offer_aside(
    rules: Iterable[Rule], environ: Mapping[str, str], sudo_seconds: float
) -> tuple[dict[str, Rule], list[tuple[Rule, str]]]:
    """`offer` in a thread of its own. Raises Problem (`internal-error`) where none is left."""
    from anyio import to_thread  # who does not wait for it needs no event loop

    try:
        return await to_thread.run_sync(offer, rules, environ, sudo_seconds, abandon_on_cancel=True)
    except (RuntimeError, ImportError, OSError) as error:  # no thread, or no descriptor
        raise Problem(INTERNAL_ERROR, f"privileged bridges cannot be looked for: {error}") from None


def in_turn(offered: Mapping[str, Rule]) -> dict[str, Rule]:
    """What `any` stands for: those that are tried, in order."""
    labelled = {ident: rule for ident, rule in offered.items() if rule.label is not None}
    return labelled or dict(offered)


def _unusable(rule: Rule, environ: Mapping[str, str], sudo_seconds: float) -> str | None:
    """Why a privileged rule cannot be started; None: it can, as far as can be told."""
    own = [entry.removeprefix("PATH=") for entry in rule.environ if entry.startswith("PATH=")]
    import subprocess

    if rule.directory and not os.path.isdir(rule.directory):
        return f"its directory {rule.directory} is not there"
    program = find_program(rule.spawn[0], {"PATH": own[-1]} if own else environ, rule.directory)
    if program is None:
        return f"{rule.spawn[0]} is not found, or may not be run"
    if rule.method == UNIT:
        from .systemd import missing  # few rules need it

        return missing(environ, sudo_seconds)
    if program.rpartition("/")[2] != "sudo":
        return None
    try:
        told = subprocess.run(
            [os.path.join(rule.directory or "", program), "--help"],
            capture_output=True,
            timeout=sudo_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"{program} --help took more than {sudo_seconds:g} s (sudo_seconds)"
    except OSError as error:
        return f"{program}: {error.strerror}"
    return None if b"askpass" in told.stdout + told.stderr else f"{program} --help does not speak of askpass"
