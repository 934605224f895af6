"""Through real sudo, as an ordinary user made for it: the helper is `spanbridge --privileged`, or Debian's bridge."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.script import Rule

from ..browser.parts import COCKPIT_BRIDGE, COCKPIT_SHELL, require
from ..browser.processes import descendants
from .client import ERROR, Prompt, SuperuserClient
from .installation import Installation
from .real_user import PASSWORD, RealUser, real_user, require_sudo, where_it_shows
from .site import Site

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

ASKED: Final = "{name} ALL=(ALL) ALL"
NOT_ASKED: Final = "{name} ALL=(ALL) NOPASSWD: ALL"
WRONG: Final = "incorrect-donkey"


@pytest.fixture(scope="module")
def somebody() -> Iterator[RealUser]:
    """The user of this module's tests."""
    require_sudo()
    with real_user() as user:
        yield user


@pytest.fixture
def site(directory: Path, installation: Installation, somebody: RealUser) -> Iterator[Site]:
    """A place for bridges of that user."""
    somebody.forget()
    with ExitStack() as stack:
        yield Site(directory, installation, somebody.user, stack)


def sudo(site: Site) -> Rule:
    return {
        "privileged": True,
        "environ": ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"],
        "spawn": ["sudo", "-k", "-A", str(site.installation.spanbridge), "--privileged"],
    }


def started(site: Site) -> tuple[Bridge, SuperuserClient, str]:
    """A bridge that logs all it can, and a start of `sudo` that is under way."""
    bridge, _, superuser = site.superuser(sudo(site), arguments=["--debug"])
    assert superuser.bridges == ["sudo"]
    return bridge, superuser, superuser.begin("Start", "sudo")


def check_root_side(bridge: Bridge, superuser: SuperuserClient) -> None:
    """A channel there belongs to uid 0; and it all ends with the session."""
    assert superuser.current == "sudo"
    assert superuser.user_id() == 0
    family = descendants(bridge.pid)
    assert family
    assert where_it_shows(PASSWORD, [bridge.pid, *family]) == []
    assert bridge.end() == 0
    assert processes.wait_ended(family) == []
    assert PASSWORD not in bridge.log.text
    assert WRONG not in bridge.log.text


def test_without_a_password(site: Site, somebody: RealUser) -> None:
    somebody.may(NOT_ASKED)
    bridge, superuser, start = started(site)

    superuser.outcome(start)

    check_root_side(bridge, superuser)


def test_with_a_password(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED)
    bridge, superuser, start = started(site)

    asked = superuser.prompt()
    assert asked == Prompt("", f"[sudo] password for {somebody.user.name}: ", "", False, "")
    superuser.call("Answer", PASSWORD)
    assert where_it_shows(PASSWORD, [bridge.pid, *descendants(bridge.pid)]) == []
    superuser.outcome(start)

    check_root_side(bridge, superuser)


def test_a_wrong_password_then_the_right_one(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED)
    bridge, superuser, start = started(site)
    assert superuser.prompt().error == ""
    superuser.call("Answer", WRONG)

    again = superuser.prompt()
    assert again.message == ""
    assert "try again" in again.error
    superuser.call("Answer", PASSWORD)
    superuser.outcome(start)

    check_root_side(bridge, superuser)


def test_the_last_wrong_password(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED, "Defaults:{name} passwd_tries=1")
    bridge, superuser, start = started(site)
    superuser.prompt()
    superuser.call("Answer", WRONG)

    error = superuser.failure(start)

    assert error.name == ERROR
    assert "1 incorrect password attempt" in error.text
    assert superuser.current == "none"
    assert WRONG not in bridge.log.text


def test_who_is_not_in_sudoers(site: Site, somebody: RealUser) -> None:
    somebody.may()
    bridge, superuser, start = started(site)
    superuser.prompt()
    superuser.call("Answer", PASSWORD)

    error = superuser.failure(start)

    assert error.name == ERROR
    assert "not in the sudoers file" in error.text
    assert superuser.current == "none"
    superuser.front.open("c", superuser="require")
    assert superuser.front.expect("close", "c")["problem"] == "access-denied"
    assert bridge.end() == 0
    assert PASSWORD not in bridge.log.text


def test_a_lecture_on_the_first_use(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED, "Defaults:{name} lecture=once")
    bridge, superuser, start = started(site)

    first = superuser.prompt()
    assert "We trust you have received the usual lecture" in first.message
    assert first.error == ""
    superuser.call("Answer", PASSWORD)
    superuser.outcome(start)
    superuser.call("Stop")
    start = superuser.begin("Start", "sudo")

    assert superuser.prompt().message == ""
    superuser.call("Answer", PASSWORD)
    superuser.outcome(start)
    check_root_side(bridge, superuser)


def test_no_answer(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED)
    bridge, superuser, start = started(site)
    superuser.prompt()

    superuser.call("Answer", "")

    assert "no password was provided" in superuser.failure(start).text
    assert bridge.running


def test_a_stop_during_the_prompt_leaves_nothing_behind(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED)
    bridge, superuser, start = started(site)
    superuser.prompt()
    family = descendants(bridge.pid)
    assert len(family) >= 2

    superuser.call("Stop")

    assert superuser.failure(start).name == "cockpit.Superuser.Error.Cancelled"
    assert processes.wait_ended(family) == []
    assert bridge.running


def test_a_front_end_that_goes_away_during_the_prompt_leaves_nothing_behind(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED)
    bridge, superuser, _ = started(site)
    superuser.prompt()
    family = descendants(bridge.pid)
    assert len(family) >= 2

    assert bridge.end() == 0

    assert processes.wait_ended(family) == []


def test_from_init_with_the_password_that_the_front_end_has(site: Site, somebody: RealUser) -> None:
    somebody.may(ASKED)
    bridge = site.start(sudo(site), arguments=["--debug"], superuser={"id": "any"})
    question = bridge.front_end.expect("authorize")
    assert question["challenge"] == "plain1:" + somebody.user.name.encode().hex()

    bridge.front_end.control("authorize", cookie=question["cookie"], response=PASSWORD)

    bridge.front_end.expect("superuser-init-done")
    check_root_side(bridge, SuperuserClient(bridge.front_end))


# Debian's own bridge, by the manifest of Debian's own shell


@pytest.fixture
def debian(site: Site) -> tuple[Bridge, SuperuserClient]:
    require(COCKPIT_BRIDGE, COCKPIT_SHELL)
    bridge, _, superuser = site.superuser(environ={"XDG_DATA_DIRS": "/usr/share"}, arguments=["--debug"])
    assert superuser.bridges[0] == "sudo"
    return bridge, superuser


@pytest.mark.cockpit
@pytest.mark.parametrize("with_password", [False, True], ids=["without_password", "with_password"])
def test_debians_bridge(debian: tuple[Bridge, SuperuserClient], somebody: RealUser, with_password: bool) -> None:
    bridge, superuser = debian
    somebody.may(ASKED if with_password else NOT_ASKED)
    start = superuser.begin("Start", "sudo")
    if with_password:
        superuser.prompt()
        superuser.call("Answer", PASSWORD)
    superuser.outcome(start)

    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2] for pid in descendants(bridge.pid)]
    assert [b"cockpit-bridge", b"--privileged"] in commands
    check_root_side(bridge, superuser)
