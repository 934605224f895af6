"""The plugin in pytest sessions of its own."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from spanbridge.testing import script

from ..browser.parts import COCKPIT_BRIDGE, require
from ..docs.pages import DOCS, ROOT, Block, blocks, tables, words

pytest_plugins = ["pytester"]

PAGE = DOCS / "testing.md"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """A session of its own, with this plugin alone: to load the others takes longer than most tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        named = ("-p", "no:cacheprovider", "-p", "spanbridge.testing.plugin")
        return pytester.runpytest_subprocess(*named, *arguments, timeout=100)


def one(tag: str) -> Block:
    (block,) = [block for block in blocks(PAGE) if block.tag == tag]
    return block


# What the page shows


def test_the_tests_that_the_page_shows_pass(pytester: pytest.Pytester) -> None:
    shown = blocks(PAGE, "python", "test")
    for number, block in enumerate(shown):
        (pytester.path / f"test_shown_{number}.py").write_text(block.text)
    count = sum(len(re.findall("^def test_", block.text, re.MULTILINE)) for block in shown)
    assert count >= 5
    run(pytester).assert_outcomes(passed=count)


def test_a_helper_of_ones_own(pytester: pytest.Pytester) -> None:
    (pytester.path / "package").mkdir()
    (pytester.path / "package" / "manifest.json").write_text(one("manifest").text)
    echo = pytester.path / "echo.py"
    echo.write_text(
        blocks(DOCS / "helpers.md", "python", "sdk")[0].text.replace("env python3", f"env {sys.executable}")
    )
    echo.chmod(0o755)
    (pytester.path / "conftest.py").write_text(one("conftest").text)
    (pytester.path / "test_echo.py").write_text(one("own").text)
    run(pytester).assert_outcomes(passed=1)


def test_every_block_of_the_page_is_accounted_for() -> None:
    not_run = ("pip install", "pytest --spanbridge-command")
    left = [block for block in blocks(PAGE) if block.tag not in ("test", "conftest", "manifest", "own", "other")]
    assert [block.name for block in left if not block.text.startswith(not_run)] == []


def test_the_fixtures_are_those_of_the_page_and_none_has_a_name_of_everyday(pytester: pytest.Pytester) -> None:
    told = run(pytester, "--fixtures").stdout.str()
    _, _, ours = told.partition("fixtures defined from spanbridge.testing.plugin")
    found = re.findall(r"^(\w+)(?: \[.*\])? -- .*plugin\.py", ours.partition("fixtures defined from")[0], re.MULTILINE)
    ((_, *rows),) = tables(PAGE, "The fixtures")
    assert set(found) == {words(row[0])[0] for row in rows}
    assert {name for name in found if not name.startswith("spanbridge_")} == {"bridge", "front_end", "fake_helper"}


def test_the_steps_are_those_of_the_page() -> None:
    (rows,) = tables(PAGE, "Scripts")
    listed = {re.match(r"\w+", word)[0] for row in rows[1:] for word in words(row[0])}  # type: ignore[index]
    defined = set(re.findall(r"^def ([a-z]\w*)\(.*\) -> Step:$", Path(script.__file__).read_text(), re.MULTILINE))
    assert listed <= defined
    assert defined - listed == {"note_size", "stderr_raw"}  # told in the module


# What it costs, and what it needs


def test_a_session_that_does_not_use_it_loads_one_module_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing_much():
            loaded = {name for name in sys.modules if name.partition(".")[0] == "spanbridge"}
            assert loaded == {"spanbridge", "spanbridge.testing", "spanbridge.testing.plugin"}
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_the_plugin_itself_imports_pytest_alone() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import spanbridge.testing.plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["spanbridge", "spanbridge.testing", "spanbridge.testing.plugin"]


def test_pytest_is_no_runtime_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [each for each in project["dependencies"] if "pytest" in each]
    assert [each for each in project["optional-dependencies"]["test"] if each.startswith("pytest")]
    code = (
        "import sys; sys.modules['pytest'] = None; "
        "import spanbridge.cli, spanbridge.sdk, spanbridge.testing.front_end, "
        "spanbridge.testing.bridge, spanbridge.testing.scripted, spanbridge.testing.start"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# The command under test


COMMAND_TEST = """
    def test_the_log(bridge):
        assert bridge.log.matches("a bridge of my own") == ["a bridge of my own"]
"""


@pytest.fixture
def own_bridge(pytester: pytest.Pytester) -> str:
    """A command that says something and becomes spanbridge."""
    program = pytester.path / "own bridge"
    program.write_text(f'#!/bin/sh\necho "$1" >&2\nexec {Path(sys.executable).with_name("spanbridge")}\n')
    program.chmod(0o755)
    return f"'{program}' 'a bridge of my own'"


def test_the_command_can_be_given(pytester: pytest.Pytester, own_bridge: str) -> None:
    pytester.makepyfile(COMMAND_TEST)
    run(pytester, f"--spanbridge-command={own_bridge}").assert_outcomes(passed=1)


def test_the_command_can_be_set(pytester: pytest.Pytester, own_bridge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(COMMAND_TEST)
    monkeypatch.setenv("SPANBRIDGE_TEST_COMMAND", own_bridge)
    run(pytester).assert_outcomes(passed=1)


def test_a_command_that_is_none_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(COMMAND_TEST)
    result = run(pytester, "--spanbridge-command=/nowhere/bridge --option")
    result.assert_outcomes(errors=1)
    assert "the bridge under test: /nowhere/bridge: no such command" in result.stdout.str()


@pytest.mark.cockpit
def test_another_bridge(pytester: pytest.Pytester) -> None:
    require(COCKPIT_BRIDGE)
    (pytester.path / "test_other.py").write_text(one("other").text)
    run(pytester, f"--spanbridge-command={COCKPIT_BRIDGE}").assert_outcomes(passed=1)


# What fails


def test_what_is_left_behind_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from spanbridge.testing.bridge import Bridge
        from spanbridge.testing.script import forever, fork, init, note, serve, set_session

        Bridge.check_nothing_left.__defaults__ = (0.1,)  # seconds

        def test_a_daemon(fake_helper, front_end):
            helper = fake_helper("test", [init(), fork([set_session(), note("daemon"), forever()]), serve()])
            front_end.open("a")
            helper.wait_note("daemon")
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, errors=1)
    assert "still running after the end of the bridge" in result.stdout.str()


def test_a_wait_that_fails_shows_the_log(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from spanbridge.testing.script import exit_with, stderr

        def test_it(fake_helper, front_end):
            fake_helper("test", [stderr("the database is locked"), exit_with(1)])
            front_end.open("a")
            front_end.expect("ready", "a")
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    assert "the database is locked" in result.stdout.str()


def test_a_broken_manifest_fails_the_test_with_what_is_wrong(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def spanbridge_packages():
            return {"mine": {"bridges": [{"match": {"payload": "test"}, "spawn": "my-helper --fast"}]}}

        def test_it(front_end):
            front_end.open("a", "test")
            front_end.expect("ready", "a")
        """
    )
    result = run(pytester)
    result.assert_outcomes(errors=1)
    told = result.stdout.str()
    assert "bridges[0].spawn: found" in told
    assert "expected a list of strings" in told
    assert "plugin.py" not in told.partition("short test summary")[0]


def test_a_failure_shows_the_line_of_the_test_and_nothing_of_the_kit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_it(front_end):
            front_end.open("a", "nonesuch")
            front_end.expect("ready", "a")
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    told = result.stdout.str()
    assert '>       front_end.expect("ready", "a")' in told
    assert "nobody serves payload" in told
    assert "front_end.py" not in told


def test_a_signal_is_heeded_whenever_it_comes(pytester: pytest.Pytester) -> None:
    """Also right before a helper waits; many times, since the moment is short."""
    pytester.makepyfile(
        """
        import os, signal
        from spanbridge.testing.script import exit_with, forever, init, note, on_signal, read, ready, serve

        def test_it(fake_helper, front_end):
            ends = on_signal(signal.SIGTERM, [exit_with(0)])
            fake_helper("test", [ends, init(), serve({"open": [ready(), forever()]})])
            for number in range(40):
                front_end.open(str(number))
                os.kill(front_end.expect("ready", str(number))["pid"], signal.SIGTERM)
                front_end.expect("close", str(number))
        """
    )
    run(pytester).assert_outcomes(passed=1)
