"""Found, started, changed, failed, disabled, removed."""

import json
import os
import shutil
import signal
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home

from .site import Page, Site, hello, wait_until

LIST = "/api/extensions"


def listed(page: Page, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in page.get(LIST).json["extensions"] if each["name"] == name)
    return found


def test_states_and_their_changes(site: Site) -> None:
    site.extension("one", hello("return {'version': version}"))
    page = site.session()
    assert listed(page, "one")["state"] == "idle"
    assert page.get("/api/ext/one/").json == {"version": "1"}
    told = listed(page, "one")
    assert (told["state"], told["version"], told["restarts"], told["error"]) == ("running", "1", 0, None)
    assert processes.state(told["pid"]) in "RS"
    assert page("POST", f"{LIST}/one/disable").status == 200
    assert page.get("/api/ext/one/").error == (503, "disabled")
    assert page("POST", f"{LIST}/one/enable").status == 200
    assert page.get("/api/ext/one/").status == 200
    pid = listed(page, "one")["pid"]
    assert page("POST", f"{LIST}/one/restart").status == 200
    assert listed(page, "one")["pid"] not in (None, pid)
    assert page("POST", f"{LIST}/absent/restart").error == (404, "no-such-extension")
    assert page("GET", f"{LIST}/one/restart").error == (405, "method-not-allowed")
    actions = [each["action"] for each in page.get(f"{LIST}/audit?extension=one").json["entries"]]
    assert actions == ["disable", "enable"]


def test_a_decision_outlives_the_host(site: Site) -> None:
    site.extension("one", hello())
    bridge = site.bridge()
    assert Page(bridge.front_end)("POST", f"{LIST}/one/disable").status == 200
    bridge.end()
    bridge.check_nothing_left()
    assert site.session().get("/api/ext/one/").error == (503, "disabled")


def test_a_change_takes_over_without_a_gap(site: Site) -> None:
    source = """
    import asyncio

    def init(router, services):
        @router.get("/version")
        def told(req):
            return {"version": version}

        @router.get("/slow")
        async def slow(req):
            services.broadcast("begun")
            await asyncio.sleep(1)
            return {"version": version}
    """
    site.extension("one", source)
    page = site.session()
    events = page.listen("one")
    slow = page.ask("GET", "/api/ext/one/slow")
    assert page.event(events)["topic"] == "begun"
    site.extension("one", source, version="2")
    wait_until(lambda: page.get("/api/ext/one/version").json == {"version": "2"}, "the new version", lambda: site.log)
    assert page.receive(slow).json == {"version": "1"}
    # One that fails leaves the old one where it is.
    site.extension("one", "raise RuntimeError('not today')", version="3")
    wait_until(lambda: listed(page, "one")["error"], "the failure", lambda: site.log)
    assert "not today" in listed(page, "one")["error"]
    assert page.get("/api/ext/one/version").json == {"version": "2"}
    site.extension("one", source, version="4")
    wait_until(lambda: page.get("/api/ext/one/version").json == {"version": "4"}, "the next version")
    entries = page.get(f"{LIST}/audit?extension=one").json["entries"]
    assert {"from": "1", "to": "2"} in [each["details"] for each in entries if each["action"] == "version"]


def test_added_and_removed(site: Site) -> None:
    site.extension("first", hello())
    page = site.session()
    assert page.get("/api/ext/second/").error == (404, "no-such-extension")
    site.extension("second", "def init(router, services): services.db.exec('CREATE TABLE ext_second_t (x)')")
    wait_until(lambda: page.get("/api/ext/second/").error == (404, "not-found"), "the second one", lambda: site.log)
    shutil.rmtree(site.home.data_home / "spanbridge/extensions/second")
    wait_until(lambda: page.get("/api/ext/second/").error == (404, "no-such-extension"), "it to be gone")
    assert (site.state / "second/data.db").exists()
    site.extension("second", hello("return services.db.prepare('SELECT count(*) c FROM ext_second_t').all()"))
    wait_until(lambda: page.get("/api/ext/second/").status == 200, "it to be back", lambda: site.log)
    assert page.get("/api/ext/second/").json == [{"c": 0}]


def test_one_that_is_put_back_waits_for_the_end_of_the_one_removed(site: Site) -> None:
    """Two that serve one database would be in each other's way: a transaction of one is unforeseen by the other."""
    source = """
    import os, threading

    def init(router, services):
        router.get("/pid", lambda req: {"pid": os.getpid()})

        @router.get("/stay")
        def stay(req):
            open(f"{services.files}/begun", "w").close()
            threading.Event().wait()
    """
    directory = site.extension("one", source)
    page = site.session(extension_drain_seconds=1)
    before = page.get("/api/ext/one/pid").json["pid"]
    stays = page.ask("GET", "/api/ext/one/stay")
    wait_until((site.state / "one" / "files" / "begun").exists, "a request to be under way")
    directory.rename(site.home.root / "away")
    wait_until(lambda: page.get(LIST).json["extensions"] == [], "the removal to be seen")
    (site.home.root / "away").rename(directory)
    wait_until(lambda: page.get(LIST).json["extensions"] != [], "it to be seen again")
    assert page.get("/api/ext/one/pid").json["pid"] != before
    assert not os.path.exists(f"/proc/{before}")
    assert page.receive(stays).error == (502, "extension-died")


def test_what_has_come_or_gone_is_known_to_whoever_asks(site: Site) -> None:
    """Also before the host was told of it."""
    page = site.session(extension_memory_bytes=(1 << 63) - 1)  # whatever is made of that can be set, too
    for number in range(5):
        name = f"new-{number}"
        assert page.get("/api/extensions").json["extensions"] == []
        directory = site.extension(name, hello())
        assert page.get(f"/api/ext/{name}/").status == 200
        assert page("POST", f"/api/extensions/{name}/disable").status == 200
        shutil.rmtree(directory)


def test_a_setting_that_cannot_be_is_told(site: Site) -> None:
    front_end = site.session(extension_delivery_allow="999").front_end
    front_end.open("x", "http-stream2", internal="extensions", method="GET", path="/api/extensions")
    close = front_end.expect("close", "x", problem="internal-error")
    assert "'999'" in close["message"]


@pytest.mark.parametrize(
    ("package", "named"),
    [
        ("{", "package.json"),
        ("[]", "object"),
        ({"version": "1"}, "name"),
        ({"name": "Big", "version": "1"}, "name"),
        ({"name": "broken"}, "version"),
        ({"name": "broken", "version": 1}, "version"),
        ({"name": "broken", "version": "1", "main": "../elsewhere.py"}, "main"),
        ({"name": "broken", "version": "1", "main": "absent.py"}, "main"),
        ({"name": "broken", "version": "1", "main": "src/main.sh"}, "main"),
        ({"name": "broken", "version": "1", "spanbridge": {"start": "never"}}, "spanbridge.start"),
        ({"name": "broken", "version": "1", "spanbridge": {"permissions": {"all": True}}}, "spanbridge.permissions"),
        ({"name": "broken", "version": "1", "spanbridge": {"permissions": {"read": ["x"]}}}, "spanbridge.permissions"),
        ({"name": "broken", "version": "1", "spanbridge": {"permissions": {"network": [0]}}}, "spanbridge.permissions"),
        ({"name": "broken", "version": "1", "spanbridge": {"x": 1}}, "spanbridge.x"),
        ({"name": "broken", "version": "half \ud83d"}, "package.json:1:37: found \\ud83d"),
        ({"name": "x" * 100_000, "version": "1"}, f'name: found "{"x" * 57}...", expected'),
        ({"name": "broken", "version": ["x" * 100_000]}, "version: found a list, expected a string"),
        ({"name": "broken", "version": "1", "main": "x" * 100_000}, f'main: "{"x" * 57}...": no such file'),
        ({"name": "broken", "version": "1", "spanbridge": {"x" * 100_000: 1}}, f"spanbridge.{'x' * 57}...: no such"),
        ({"name": "broken", "version": "1", "spanbridge": {"start": "x" * 99_000}}, f'found string "{"x" * 57}...", '),
        ({"name": "x" * (1 << 20)}, "package.json: found 1048588 bytes, expected at most 1048576"),
        ("[" * 100_000, "package.json:1:201: found lists and objects nested deeper than 200 levels"),
    ],
)
def test_a_broken_package_is_named(tmp_path_factory: pytest.TempPathFactory, package: Any, named: str) -> None:
    from spanbridge.extensions.life.found import look_at

    directory = tmp_path_factory.mktemp("x") / "broken"
    (directory / "src").mkdir(parents=True)
    (directory / "src/main.py").touch()
    (directory / "src/main.sh").touch()
    (directory.parent / "elsewhere.py").touch()
    (directory / "package.json").write_text(package if isinstance(package, str) else json.dumps(package))
    found = look_at(str(directory))
    assert found.name == "broken"
    assert f"{directory}/package.json" in found.broken
    assert named in found.broken
    assert len(found.broken) < 500
    assert "manifest_bytes" not in found.broken


def test_a_broken_one_answers_503(site: Site) -> None:
    site.extension("broken", hello(), main="src/main.py")
    path = site.home.data_home / "spanbridge/extensions/broken/package.json"
    path.write_text('{"name": "broken", "version": 1}')
    page = site.session()
    answer = page.get("/api/ext/broken/")
    assert answer.error == (503, "extension-failed")
    assert "version" in answer.json["message"]
    assert listed(page, "broken")["state"] == "broken"


def test_whatever_lies_there_the_others_are_served(site: Site) -> None:
    """Nothing is waited for, and nothing of it makes the list fail."""
    site.extension("good", hello())
    base = site.home.data_home / "spanbridge/extensions"
    for name in ("fifo", "directory"):
        (base / name).mkdir()
    os.mkfifo(base / "fifo/package.json")
    (base / "directory/package.json").mkdir()
    shutil.copytree(base / "good", base / os.fsdecode(b"caf\xe9"))
    page = site.session()
    assert page.get("/api/ext/good/").json == {"hello": "/"}
    told = {each["name"]: each["error"] for each in page.get("/api/extensions").json["extensions"]}
    assert "found a FIFO" in told["fifo"]
    assert "found a directory" in told["directory"]
    assert "not UTF-8" in told["caf\udce9"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def init(router, services): raise RuntimeError('no luck')", "no luck"),
        ("syntax error", "SyntaxError"),
        ("import absent_module", "absent_module"),
        ("name = 'other'\ndef init(router, services): pass", "expected 'one' as in package.json"),
        ("", "init: expected a function"),
        ("import os; os._exit(7)", "status 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("import time\ndef init(router, services): time.sleep(3600)", "extension_start_seconds"),
    ],
)
def test_why_it_cannot_start(site: Site, source: str, told: str) -> None:
    site.extension("one", source)
    page = site.session(extension_start_seconds=1)
    answer = page.get("/api/ext/one/")
    assert answer.error == (503, "extension-failed")
    assert told in answer.json["message"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert told in listed(page, "one")["error"]
    assert listed(page, "one")["state"] == "failed"


def test_after_three_failures_it_rests(site: Site) -> None:
    site.extension("one", "raise RuntimeError('again')")
    page = site.session()
    for _ in range(5):
        assert page.get("/api/ext/one/").error == (503, "extension-failed")
    assert site.log.count("extension-failed") == 3


_CRASHES = """
import asyncio, os

def init(router, services):
    @router.get("/waits")
    async def waits(req):
        await asyncio.Event().wait()

    @router.get("/dies")
    def dies(req):
        os._exit(0)

    @router.get("/")
    def pid(req):
        return {"pid": os.getpid()}
"""


def test_one_that_crashed_is_started_by_the_next_request(site: Site) -> None:
    site.extension("one", _CRASHES)
    page = site.session()
    first = page.get("/api/ext/one/").json["pid"]
    # In this order: one that comes after the end has a new process.
    waiting = [page.ask("GET", f"/api/ext/one/{path}") for path in ("waits", "dies")]
    assert [page.receive(channel).error for channel in waiting] == [(502, "extension-died")] * 2
    second = page.get("/api/ext/one/").json["pid"]
    assert second != first
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: page.get("/api/ext/one/").status == 200, "a new one")
    assert listed(page, "one")["restarts"] == 2


def test_always_is_from_the_start(site: Site) -> None:
    site.extension("one", hello(), spanbridge={"start": "always"})
    page = site.session()
    wait_until(lambda: listed(page, "one")["state"] == "running", "it to run")


def test_always_is_also_from_when_it_was_added_or_enabled(site: Site) -> None:
    page = site.session()
    assert page.get(LIST).json["extensions"] == []
    site.extension("added", hello(), spanbridge={"start": "always"})
    site.wait_log("extension-started extension=added")
    asks = {"network": True}
    site.extension("asking", hello(), spanbridge={"start": "always", "permissions": asks})
    site.wait_log("extension-found extension=asking")
    assert listed(page, "asking")["state"] == "needs-consent"
    page("POST", f"{LIST}/asking/enable", {"permissions": asks})
    site.wait_log("extension-started extension=asking")


def test_the_first_of_a_name_wins_and_consent_is_asked_again_for_more(site: Site) -> None:
    asks = {"permissions": {"network": [80]}}
    directory = site.extension("one", hello("return {'version': version}"), spanbridge=asks)
    system = site.home.data_dir / "spanbridge/extensions"
    system.mkdir(parents=True)
    shutil.copytree(directory, system / "one")
    page = site.session()
    assert listed(page, "one")["path"] == str(directory)
    assert listed(page, "one")["asks"] == {"network": [80]}
    assert page("POST", f"{LIST}/one/enable", {"permissions": {"network": [80]}}).status == 200
    assert page.get("/api/ext/one/").json == {"version": "1"}
    # Less needs no new consent, more does.
    site.extension("one", hello("return {'version': version}"), version="2")
    wait_until(lambda: page.get("/api/ext/one/").json == {"version": "2"}, "version 2")
    site.extension("one", hello(), version="3", spanbridge={"permissions": {"run": True}})
    wait_until(lambda: listed(page, "one")["state"] == "needs-consent", "consent to be asked for")
    assert page.get("/api/ext/one/").error == (503, "needs-consent")


def test_all_ends_with_the_last_session(site: Site) -> None:
    site.extension("one", hello())
    bridge, second = site.bridge(), site.bridge()
    page = Page(bridge.front_end)
    host = page.get(LIST).json["host"]["pid"]
    assert Page(second.front_end).get(LIST).json["host"]["pid"] == host
    pid = page.get("/api/ext/one/") and listed(page, "one")["pid"]
    second.end()
    assert page.get(LIST).json["host"]["pid"] == host
    bridge.end()
    assert processes.wait_ended([host, pid]) == []


def test_whoever_is_killed_there_is_a_next_one(site: Site) -> None:
    site.extension("one", "def init(router, services): pass")
    bridge = site.bridge()
    page = Page(bridge.front_end)
    events = page.listen("one")
    host = page.get(LIST).json["host"]["pid"]
    os.kill(host, signal.SIGKILL)
    page.front_end.expect("close", events, problem="terminated")
    assert page.get(LIST).json["host"]["pid"] != host
    # The fork server
    page.get("/api/ext/one/")
    pid = listed(page, "one")["pid"]
    os.kill(processes.parents()[pid], signal.SIGKILL)
    assert processes.wait_ended([pid]) == []
    wait_until(lambda: page.get("/api/ext/one/").error == (404, "not-found"), "a new process", lambda: site.log)
    # The relay
    events = page.listen("one")
    relay = next(pid for pid in bridge.children if "relay" in processes.describe(pid))
    os.kill(relay, signal.SIGKILL)
    page.front_end.expect("close", events, problem="terminated")
    assert page.get(LIST).status == 200


@pytest.mark.parametrize("whose", ["its own", "the fork server's"])
def test_whoever_asks_while_it_dies_is_answered(site: Site, whose: str) -> None:
    """The end of a process is heard in one turn of the host, and what is due for it done in the next."""
    site.extension("one", hello())
    page = site.session()
    for _ in range(5):
        wait_until(lambda: page.get("/api/ext/one/").status == 200, "a process", lambda: site.log)
        pid = listed(page, "one")["pid"]
        os.kill(pid if whose == "its own" else processes.parents()[pid], signal.SIGKILL)
        asked = [page.ask("GET", "/api/ext/one/") for _ in range(100)]
        assert {page.receive(channel).status for channel in asked} <= {200, 502}


def test_one_that_has_hung_up_and_lives_on_is_replaced(site: Site) -> None:
    source = """
    import os, socket, threading

    def init(router, services):
        router.get("/pid", lambda req: {"pid": os.getpid()})

        @router.get("/hang-up")
        def hang_up(req):
            for number in range(3, 32):
                try:
                    with socket.socket(fileno=os.dup(number)) as copy:
                        copy.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
            open(f"{services.files}/hung-up", "w").close()
            threading.Event().wait()
    """
    site.extension("one", source)
    page = site.session(extension_pong_seconds=300)
    pid = page.get("/api/ext/one/pid").json["pid"]
    hung = page.ask("GET", "/api/ext/one/hang-up")
    wait_until((site.state / "one" / "files" / "hung-up").exists, "its sockets to be closed")
    page.get(LIST)  # when that is answered, the host has seen it
    assert page.get("/api/ext/one/pid").json["pid"] != pid
    assert page.receive(hung).error == (502, "extension-died")
    assert processes.wait_ended([pid]) == []
    site.wait_log("extension-ended")
    assert listed(page, "one")["restarts"] == 1


def test_a_runtime_directory_is_not_needed(site: Site) -> None:
    site.extension("one", hello())
    page = site.session(environ={"XDG_RUNTIME_DIR": ""})
    assert page.get("/api/ext/one/").status == 200
    assert (site.state / "run/extensions.sock").stat().st_mode & 0o777 == 0o600


def test_a_bridge_with_privileges_serves_them_too(site: Site, home: Home) -> None:
    """It has no packages, but our own rule: the extensions are those of its user."""
    site.extension("one", hello())
    environ = {"XDG_STATE_HOME": str(home.root / "state"), "SPANBRIDGE_EXTENSION_LINGER_SECONDS": "0.1"}
    with Bridge(home, arguments=["--privileged"], environ=environ) as bridge:
        bridge.front_end.expect("init")
        bridge.front_end.init()
        assert Page(bridge.front_end).get("/api/ext/one/").status == 200


def test_an_open_for_another_host_is_not_ours(site: Site) -> None:
    page = site.session()
    channel = page.ask("GET", "/api/extensions", host="elsewhere.invalid")
    page.front_end.expect("close", channel)
    assert site.log == ""


SLOW = """
import os, time

def init(router, services):
    open(f"{services.files}/begun", "w").close()
    while not os.path.exists(f"{services.files}/go"):
        time.sleep(0.01)
    router.get("/", lambda req: {"version": version})
"""


def test_what_changes_while_it_starts_counts(site: Site) -> None:
    site.extension("slow", SLOW)
    page = site.session()
    files = site.state / "slow" / "files"
    first = page.ask("GET", "/api/ext/slow/")
    wait_until((files / "begun").exists, "the start to be under way")
    site.extension("slow", SLOW, version="2")
    wait_until(lambda: listed(page, "slow")["version"] == "2", "the change to be seen")
    (files / "go").touch()
    assert page.receive(first).json == {"version": "2"}
    (files / "go").unlink()
    (files / "begun").unlink()
    page("POST", "/api/extensions/slow/disable")
    page("POST", "/api/extensions/slow/enable")
    second = page.ask("GET", "/api/ext/slow/")
    wait_until((files / "begun").exists, "the start to be under way")
    page("POST", "/api/extensions/slow/disable")
    (files / "go").touch()
    assert page.receive(second).error == (503, "disabled")
    assert listed(page, "slow")["pid"] is None


@pytest.mark.parametrize("name", ["audit", "push"])
def test_an_extension_may_have_the_name_of_a_resource(site: Site, name: str) -> None:
    site.extension(name, hello())
    page = site.session()
    assert page("POST", f"/api/extensions/{name}/disable").json["state"] == "disabled"
    assert page.get(f"/api/ext/{name}/").error == (503, "disabled")
    assert page("POST", f"/api/extensions/{name}/enable").status == 200
    assert page.get(f"/api/ext/{name}/").status == 200
    assert page.get("/api/extensions/audit").json["entries"][0]["action"] == "disable"


def test_a_setting_that_cannot_be_kept_does_not_count(site: Site) -> None:
    site.extension("one", hello())
    page = site.session()
    assert page.get("/api/ext/one/").status == 200
    (site.state / "settings.json.new").mkdir()
    refused = page("POST", "/api/extensions/one/disable")
    assert refused.error == (500, "internal-error")
    assert "settings.json.new" in refused.json["message"]
    assert listed(page, "one")["state"] == "running"
    (site.state / "settings.json.new").rmdir()
    assert page("POST", "/api/extensions/one/disable").json["state"] == "disabled"
