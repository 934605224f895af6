"""The command line of ssh, and the line that it runs over there."""

import shutil
import subprocess
from pathlib import Path

import pytest

from spanbridge.helpers.hosts.destination import parse
from spanbridge.helpers.hosts.remote_command import remote_command
from spanbridge.helpers.hosts.ssh_command import Trust, probe_command, read_version, ssh_command

from ..missing import lack


def options_of(argv: list[str]) -> dict[str, str]:
    """The -o options by name."""
    pairs = [argv[index + 1].partition("=")[::2] for index, word in enumerate(argv) if word == "-o"]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def command(host: str = "far", trust: Trust = Trust(), version: tuple[int, int] = (9, 2)) -> list[str]:  # noqa: B008
    return ssh_command(parse(host), trust, version=version, alive_seconds=15, command="run")


@pytest.mark.parametrize(
    ("host", "end"),
    [
        ("far", ["--", "far", "run"]),
        ("bob@far:22", ["-p", "22", "-l", "bob", "--", "far", "run"]),
        ("bob@[::1]", ["-l", "bob", "--", "::1", "run"]),
    ],
)
def test_whom_it_connects_to(host: str, end: list[str]) -> None:
    argv = command(host)
    assert argv[:4] == ["ssh", "-T", "-e", "none"]
    assert argv[-len(end) :] == end
    assert argv[-len(end) - 2] == "-o"


def test_nothing_is_accepted_unseen_and_nothing_is_for_a_terminal() -> None:
    options = options_of(command())
    assert options["StrictHostKeyChecking"] == "yes"
    assert options["NumberOfPasswordPrompts"] == "1"
    assert options["LogLevel"] == "INFO"
    assert options["RequestTTY"] == "no"
    assert options["RemoteCommand"] == "none"
    assert options["ControlMaster"] == "no"
    assert options["ServerAliveInterval"] == "15"
    for absent in ("ControlPath", "UserKnownHostsFile", "PasswordAuthentication", "User", "ForwardAgent"):
        assert absent not in options


def test_an_ssh_that_does_not_know_an_option_is_not_given_it() -> None:
    late = {"ForkAfterAuthentication", "StdinNull", "SessionType"}
    assert late <= options_of(command(version=(8, 7))).keys()
    assert not late & options_of(command(version=(8, 6))).keys()
    with_key = Trust(known_hosts="/k")
    assert "KnownHostsCommand" in options_of(command(trust=with_key, version=(8, 5)))
    assert "KnownHostsCommand" not in options_of(command(trust=with_key, version=(8, 4)))


def test_with_a_key_that_alone_is_trusted() -> None:
    options = options_of(command(trust=Trust(known_hosts="/run/a b%/known")))
    assert options["UserKnownHostsFile"] == '"/run/a b%%/known"'
    assert options["GlobalKnownHostsFile"] == "/dev/null"
    assert options["UpdateHostKeys"] == "no"
    assert options["ControlPath"] == "none"


def test_apart_from_a_master_of_the_users() -> None:
    assert options_of(command(trust=Trust(apart=True)))["ControlPath"] == "none"


def test_with_nobody_to_ask() -> None:
    options = options_of(command(trust=Trust(asks=False)))
    assert options["PasswordAuthentication"] == options["KbdInteractiveAuthentication"] == "no"


def test_the_alive_messages_may_be_left_to_the_configuration() -> None:
    argv = ssh_command(parse("far"), Trust(), version=(9, 2), alive_seconds=0, command="run")
    assert not [name for name in options_of(argv) if name.startswith("ServerAlive")]


def test_a_probe_does_not_log_in() -> None:
    options = options_of(probe_command(parse("far"), "/k", version=(9, 2), seconds=30))
    assert options["PreferredAuthentications"] == "none"
    assert options["BatchMode"] == "yes"
    assert options["StrictHostKeyChecking"] == "accept-new"
    assert options["HashKnownHosts"] == "no"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026", (9, 2)),
        ("OpenSSH_10.0p2", (10, 0)),
        ("OpenSSH_for_Windows_9.5p1, LibreSSL 3.8.2", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_the_version_of_ssh(said: str, version: tuple[int, int]) -> None:
    assert read_version(said) == version


def test_every_option_is_one_that_ssh_knows(tmp_path: Path) -> None:
    """`ssh -G` reads all of a command line, and connects to nobody."""
    if shutil.which("ssh") is None:
        lack("missing: ssh", "openssh-client")
    version = read_version(subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr)
    place = tmp_path / 'a "b" %h'
    for argv in (
        ssh_command(
            parse("bob@far:22"),
            Trust(str(place), apart=True, asks=False),
            version=version,
            alive_seconds=15,
            command="run",
        ),
        probe_command(parse("far"), str(place), version=version, seconds=30),
    ):
        found = subprocess.run([argv[0], "-G", "-F", "none", *argv[1:]], capture_output=True, text=True, check=True)
        settings = dict(line.split(" ", 1) for line in found.stdout.splitlines() if " " in line)
        assert settings["userknownhostsfile"] == f'{tmp_path}/a "b" %h'


# The line that is run over there

MARK = "0123456789abcdef" * 2


@pytest.mark.parametrize("send", [False, True])
def test_no_login_shell_sees_anything_special_in_it(send: bool) -> None:
    line = remote_command(MARK, send=send)
    assert line.startswith("exec sh -c '")
    assert line.endswith("'")
    assert line.count("'") == 2
    assert not set(line) & set("!\\\n")


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "csh", "tcsh", "fish"])
@pytest.mark.parametrize("installed", ["spanbridge", "cockpit-bridge", "both", "none"])
def test_every_login_shell_runs_it(tmp_path: Path, shell: str, installed: str) -> None:
    program = shutil.which(shell)
    if program is None:
        lack(f"missing: {shell}", shell)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    for name in ("spanbridge", "cockpit-bridge"):
        if installed in (name, "both"):
            (tools / name).write_text(f"#!/bin/sh\necho I am {name}\n")
            (tools / name).chmod(0o755)
    environ = {"PATH": str(tools), "HOME": str(tmp_path)}
    if shell in ("csh", "tcsh"):
        environ["PATH"] += ":/usr/bin/nonexistent"
    ran = subprocess.run(
        [program, "-c", remote_command(MARK, send=False)], env=environ, capture_output=True, text=True, timeout=20
    )
    name = "spanbridge" if installed == "both" else installed
    told = [MARK] if installed == "none" else [f"{MARK} {name}", f"I am {name}"]
    assert ran.stdout.splitlines() == told
    assert ran.returncode == (127 if installed == "none" else 0)
