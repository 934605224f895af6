"""What polkit's own helper says, and where it is a program (docs/superuser.md, "Without sudo")."""

from pathlib import Path

import anyio
import pytest

from spanbridge.helpers import polkit_helper
from spanbridge.helpers.polkit_helper import unescape
from spanbridge.protocol.problems import Problem
from spanbridge.testing.deadline import SECONDS

from ..bus.without_process import workbench


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("Password: ", "Password: "),
        (r"a\nb\t\"c\"\\", 'a\nb\t"c"\\'),
        (r"Gr\303\274\303\237e", "Grüße"),
        (r"\377", "\N{REPLACEMENT CHARACTER}"),
        ("\\", ""),
        (r"\7", "7"),
    ],
)
def test_what_the_helper_says(escaped: str, text: str) -> None:
    assert unescape(escaped) == text


PROGRAM = """\
#!/bin/sh
if [ {arguments} -ne $# ]; then exit 1; fi
if [ $# -eq 1 ]; then read -r cookie; else cookie=$2; fi
echo "PAM_PROMPT_ECHO_OFF Password: "
read -r answer
echo "$1 $cookie $answer" >{out}
[ "$answer" = right ] && echo SUCCESS || echo FAILURE
"""


@pytest.mark.parametrize("arguments", [1, 2])
@pytest.mark.anyio
async def test_where_the_helper_is_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: int) -> None:
    program, out = tmp_path / "helper", tmp_path / "out"
    program.write_text(PROGRAM.format(arguments=arguments, out=out))
    program.chmod(0o755)
    monkeypatch.setattr(polkit_helper, "SOCKET", str(tmp_path / "nothing"))
    monkeypatch.setattr(polkit_helper, "PROGRAMS", (str(tmp_path / "missing"), str(program)))
    answers = iter(["right", "wrong"])

    async def ask(asked: polkit_helper.Asked) -> str:
        return next(answers)

    async with workbench(tmp_path) as bench:
        assert await polkit_helper.authenticate(bench.services, "joe", "biscuit", ask)
        assert out.read_text() == "joe biscuit right\n"
        assert not await polkit_helper.authenticate(bench.services, "joe", "biscuit", ask)


@pytest.mark.anyio
async def test_a_helper_that_says_much_on_its_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "helper"
    program.write_text("#!/bin/sh\nread -r cookie\nhead -c 1000000 /dev/zero >&2\necho SUCCESS\n")
    program.chmod(0o755)
    monkeypatch.setattr(polkit_helper, "SOCKET", str(tmp_path / "nothing"))
    monkeypatch.setattr(polkit_helper, "PROGRAMS", (str(program),))

    async def ask(asked: polkit_helper.Asked) -> str:
        raise AssertionError(asked)

    async with workbench(tmp_path) as bench:
        with anyio.fail_after(SECONDS):
            assert await polkit_helper.authenticate(bench.services, "joe", "biscuit", ask)


@pytest.mark.parametrize("line", ["PAM_TEXT_INFO again and again", "PAM_PROMPT_ECHO_OFF Password: ", "nonsense", ""])
@pytest.mark.anyio
async def test_a_helper_that_talks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    program = tmp_path / "helper"
    program.write_text(f"#!/bin/sh\nread -r cookie\nexec yes '{line}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(polkit_helper, "SOCKET", str(tmp_path / "nothing"))
    monkeypatch.setattr(polkit_helper, "PROGRAMS", (str(program),))

    async def ask(asked: polkit_helper.Asked) -> str:
        return ""

    async with workbench(tmp_path) as bench:
        with pytest.raises(Problem, match="without end"):
            await polkit_helper.authenticate(bench.services, "joe", "biscuit", ask)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
