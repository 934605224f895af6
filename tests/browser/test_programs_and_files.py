"""Debian's front ends on spanbridge alone: programs, terminals and files, by way of cockpit.js and Cockpit's pages."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from .cockpit_ws import CockpitWs
from .conftest import Evidence, PackageDir
from .front_ends import INSTALLED, NEWER, FrontEnd
from .parts import SPANBRIDGE
from .probe_page import MANIFEST, NAME, Probe, files
from .processes import arguments, children, program
from .shell import open_page, page, terminal_lines, texts, type_in_terminal, wait_for

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(params=[INSTALLED, NEWER], ids=lambda front_end: front_end.name)
def front_end(request: pytest.FixtureRequest) -> FrontEnd:
    chosen: FrontEnd = request.param
    chosen.require()
    return chosen


@pytest.fixture
def cockpit_ws(
    tmp_path: Path, front_end: FrontEnd, session_command: Path, package_dir: PackageDir, evidence: Evidence
) -> Iterator[CockpitWs]:
    package_dir(NAME, MANIFEST, files())
    with CockpitWs(session_command, tmp_path / "ws", program=front_end.program) as ws:
        evidence.add_log(ws.log)
        yield ws


@pytest.fixture
def probe(cockpit_ws: CockpitWs, browser: Chrome) -> Probe:
    return Probe(browser, cockpit_ws.url)


def bridges_of(ws: CockpitWs) -> list[list[str]]:
    """The commands of all bridges below the session."""
    return [arguments(pid) for pid in children(ws.session_pid()) if "bridge" in program(pid)]


def test_programs(cockpit_ws: CockpitWs, probe: Probe) -> None:
    run = probe.run
    assert run("return await cockpit.spawn(['echo', 'hello']);") == "hello\n"
    assert run("return await cockpit.spawn(['cat']).input('in and out');") == "in and out"
    assert run("return await cockpit.spawn(['pwd'], { directory: '/usr' });") == "/usr\n"
    assert run("return await cockpit.spawn(['sh', '-c', 'echo $X'], { environ: ['X=y'] });") == "y\n"
    assert run("return await cockpit.spawn(['sh', '-c', 'echo a; echo b >&2'], { err: 'out' });") == "a\nb\n"
    assert run("return await cockpit.spawn(['tty'], { pty: true });").startswith("/dev/pts/")
    assert run("return await cockpit.script('echo $1', ['x']);") == "x\n"
    assert run("return Array.from(await cockpit.spawn(['printf', '\\\\377'], { binary: true }));") == [255]

    error = probe.fails("return await cockpit.spawn(['sh', '-c', 'echo no >&2; exit 3'], { err: 'message' });")
    assert (error["status"], error["message"]) == (3, "no\n".strip()) or error["message"] == "no\n"
    assert probe.fails("return await cockpit.spawn(['sh', '-c', 'kill -9 $$']);")["signal"] == "KILL"
    assert probe.fails("return await cockpit.spawn(['/no/such']);")["problem"] == "not-found"
    assert bridges_of(cockpit_ws) == []  # spanbridge itself is the session


def test_files(probe: Probe, tmp_path: Path) -> None:
    run, place = probe.run, str(tmp_path / "file")
    assert run("return await cockpit.file(args.path).read();", path=place) is None
    run("await cockpit.file(args.path).replace('one\\n');", path=place)
    assert Path(place).read_text() == "one\n"
    assert run("return await cockpit.file(args.path).read();", path=place) == "one\n"
    run("await cockpit.file(args.path).modify(old => old + 'two\\n');", path=place)
    assert Path(place).read_text() == "one\ntwo\n"

    conflict = """
        const file = cockpit.file(args.path);
        const tag = await new Promise(resolve => file.read().then((content, tag) => resolve(tag)));
        await cockpit.file(args.path).replace('another\\n');
        await file.replace('mine\\n', tag);
    """
    assert probe.fails(conflict, path=place)["problem"] == "change-conflict"
    assert Path(place).read_text() == "another\n"

    run("await cockpit.file(args.path).replace(null);", path=place)
    assert not Path(place).exists()
    assert probe.fails("await cockpit.file(args.path).read();", path=str(tmp_path))["problem"] == "internal-error"


def test_watching_a_file(probe: Probe, tmp_path: Path) -> None:
    place = tmp_path / "watched"
    probe.run(
        "window.seen = []; window.watched = cockpit.file(args.path); watched.watch(c => seen.push(c));", path=str(place)
    )
    told = "return window.seen;"
    wait = """
        await new Promise(resolve => {
            const look = () => window.seen.at(-1) === args.last ? resolve() : window.setTimeout(look, 20);
            look();
        });
    """
    probe.run(wait, last=None)
    new = tmp_path / "new"
    for text in ("first\n", "second\n"):
        new.write_text(text)
        new.rename(place)
        probe.run(wait, last=text)
    place.unlink()
    probe.run(wait, last=None)
    assert probe.run(told)[-1] is None


def test_large_files_both_ways(probe: Probe, tmp_path: Path) -> None:
    """16 MiB each way, many windows of flow control, with which cockpit.js opens every channel."""
    size = 16 << 20
    there, back = tmp_path / "there", tmp_path / "back"
    with there.open("wb") as file:
        for number in range(64):
            file.write(bytes([number]) * (size // 64))
    read = "window.read = await cockpit.file(args.path, { binary: true, max_read_size: args.size }).read();"
    assert probe.run(f"{read} return window.read.length;", path=str(there), size=size) == size
    probe.run("await cockpit.file(args.path, { binary: true }).replace(window.read);", path=str(back))
    assert back.read_bytes() == there.read_bytes()


def test_a_download_by_url(cockpit_ws: CockpitWs, probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "download").write_bytes(bytes(range(256)) * 4_000)
    fetched = """
        const query = window.btoa(JSON.stringify({
            payload: "fsread1", binary: "raw", path: args.path, external: { "content-type": "application/x-test" },
        }));
        await new Promise(resolve => cockpit.transport.wait(resolve));
        const prefix = (new URL(cockpit.transport.uri("channel/" + cockpit.transport.csrf_token))).pathname;
        const answer = await fetch(prefix + "?" + query);
        return [answer.status, answer.headers.get("content-type"), (await answer.arrayBuffer()).byteLength];
    """
    assert probe.run(fetched, path=str(tmp_path / "download")) == [200, "application/x-test", 1_024_000]


def test_the_terminal_page(cockpit_ws: CockpitWs, browser: Chrome, tmp_path: Path) -> None:
    """It resizes, takes a paste of 100 KB, and shows bytes that are no text."""
    open_page(browser, cockpit_ws.url, "/system/terminal")
    with page(browser, "/system/terminal"):
        wait_for(browser, "a prompt", lambda: terminal_lines(browser))
        type_in_terminal(browser, "stty size | tr ' ' x" + Keys.ENTER)
        before = wait_for(browser, "a size", lambda: sizes(browser))
        browser.set_window_size(900, 600)
        type_in_terminal(browser, "clear" + Keys.ENTER)

        def another() -> bool:
            type_in_terminal(browser, "stty size | tr ' ' x" + Keys.ENTER)
            found = sizes(browser)
            return bool(found) and found[-1] != before[-1]

        wait_for(browser, "another size", another)
        type_in_terminal(browser, r"clear; printf 'a\377b\n'" + Keys.ENTER)
        # The newer page has a binary channel, and its terminal leaves such bytes out.
        wait_for(
            browser, "what is around a byte that is no text", lambda: {"a\ufffdb", "ab"} & {*terminal_lines(browser)}
        )
        pasted = tmp_path / "pasted"
        type_in_terminal(browser, f"clear; echo o''n; head -c 100000 > {pasted}" + Keys.ENTER)
        wait_for(browser, "a program that reads", lambda: "on" in terminal_lines(browser))
        browser.execute_script(
            "const data = new DataTransfer(); data.setData('text/plain', ('x'.repeat(99) + '\\n').repeat(1000));"
            "document.querySelector('.xterm-helper-textarea').dispatchEvent("
            "new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));"
        )
        wait_for(browser, "all of the paste", lambda: pasted.exists() and pasted.stat().st_size == 100_000)
        assert pasted.read_bytes().count(b"x") == 99_000


def sizes(browser: Chrome) -> list[str]:
    lines = terminal_lines(browser)
    return [line for line in lines if line.replace("x", "").isdigit() and line.count("x") == 1]


def test_the_accounts_page(cockpit_ws: CockpitWs, browser: Chrome) -> None:
    open_page(browser, cockpit_ws.url, "/users")
    with page(browser, "/users"):
        names = wait_for(browser, "the accounts", lambda: texts(browser, "#accounts-list tbody tr td:first-child"))
    assert any(name.startswith("root") for name in names)
    assert SPANBRIDGE in arguments(cockpit_ws.session_pid())
    assert os.getuid() == 0 or names
