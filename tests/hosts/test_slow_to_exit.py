"""An ssh that takes its time to end, as on a machine with much to do. It is a script; no host is asked."""

from pathlib import Path

from spanbridge.testing.plugin import Start

SSH = """#!/bin/sh
if [ "$1" = -V ]; then echo OpenSSH_9.2 >&2; exit 0; fi
exec <&- >&-
sleep 0.5
echo "alice@far: Permission denied (publickey)." >&2
exit 255
"""


def test_its_last_words_count_however_late_they_come(start: Start, tmp_path: Path) -> None:
    """It closes its stdout before it says what is wrong."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    environ = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    front = start(environ=environ, limits={"last_words_seconds": 0.01}).front_end
    front.open("a", "echo", host="alice@far")
    closed = front.expect("close", "a")
    assert closed["problem"] == "authentication-failed"
    assert closed["auth-method-results"] == {"publickey": "not-provided"}
