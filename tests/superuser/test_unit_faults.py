"""A helper that systemd does not start, does not stop, or does not tell of (docs/superuser.md, "Without sudo")."""

from typing import Any

import pytest
from dbus_fast import Message

from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.script import forever, init, serve

from ..dbus.service import PrivateBus
from .site import Site
from .system import MANAGER, NOT_ALLOWED, Manage, unit

GOOD = [init(), serve()]


@pytest.mark.parametrize("result", ["failed", "timeout", "canceled", "skipped", "assert", "dependency"])
def test_its_job_does_not_get_done(site: Site, bus: PrivateBus, manage: Manage, result: str) -> None:
    """Whatever systemd calls that: nobody waits for an `init` that cannot come."""
    manager = manage()

    def start(message: Message) -> None:
        name, job = message.body[0], "/org/freedesktop/systemd1/job/1"
        manager.service.send(Message.new_method_return(message, "o", [job]))
        body = [1, job, name, result]
        manager.service.send(Message.new_signal("/org/freedesktop/systemd1", MANAGER, "JobRemoved", "uoss", body))

    manager._start = start  # type: ignore[method-assign]
    _, _, superuser = site.superuser(unit(site, GOOD), environ=bus.environ, limits={"handshake_seconds": 10_000})
    told = superuser.fail("Start", "unit").text
    assert f"systemd: the unit could not be started ({result})" in told
    assert superuser.current == "none"


def test_a_later_job_that_is_taken_back_ends_nothing(site: Site, bus: PrivateBus, manage: Manage) -> None:
    """Somebody stops the unit, say, and thinks better of it."""
    manager = manage()
    bridge, front, superuser = site.superuser(unit(site, GOOD), environ=bus.environ)
    superuser.call("Start", "unit")
    name = manager.units[0][0]
    for result in ("done", "canceled"):
        body = [1, "/org/freedesktop/systemd1/job/1", name, result]
        manager.service.send(Message.new_signal("/org/freedesktop/systemd1", MANAGER, "JobRemoved", "uoss", body))
    manager.tell_removed(name)  # which it looks into: by then it has heard of the jobs
    assert manager.looked_for.wait(SECONDS)
    front.round_trip(superuser.channel)
    assert superuser.current == "unit"
    assert not bridge.log.matches("helper-ended")


def test_one_that_systemd_does_not_stop_is_left_behind(site: Site, bus: PrivateBus, manage: Manage) -> None:
    """It is not said to have ended."""
    manager = manage()
    manager._stop = lambda message: Message.new_error(message, NOT_ALLOWED, "Not by you.")  # type: ignore[method-assign]
    limits = {"exit_seconds": 0.2, "term_seconds": 0.2}
    bridge, _, superuser = site.superuser(unit(site, [init(), forever()]), environ=bus.environ, limits=limits)
    superuser.call("Start", "unit")
    superuser.call("Stop")
    assert bridge.log.wait("helper-left-behind")
    assert bridge.log.matches("unit name=.* why=.Not by you")
    assert not bridge.log.matches("helper-ended")


def test_systemd_does_not_tell_of_its_unit(
    site: Site, bus: PrivateBus, manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no word of its end."""
    manager = manage()
    _, front, superuser = site.superuser(unit(site, GOOD), environ=bus.environ)
    superuser.call("Start", "unit")
    heed = manager.service._handle

    def refuse(service: Any, message: Message) -> Any:
        if message.member != "GetUnit":
            return heed(service, message)
        manager.looked_for.set()
        return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "no")

    monkeypatch.setattr(manager.service, "_handle", refuse)
    manager.tell_removed(manager.units[0][0])
    assert manager.looked_for.wait(SECONDS)
    for _ in range(3):
        front.round_trip(superuser.channel)
    assert superuser.current == "unit"
