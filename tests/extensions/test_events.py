"""Events: who gets which, in which order, again, and what is lost when nobody takes them."""

import json
from typing import Any

import pytest

from .site import Page, Site

SOURCE = """
def init(router, services):
    @router.post("/say")
    def say(req):
        try:
            services.broadcast(req.body["topic"], req.body.get("data"))
        except ValueError as error:
            return 400, {"error": "refused", "message": str(error)}

    @router.post("/many")
    def many(req):
        for number in range(req.body["count"]):
            services.broadcast("n", {"number": number, "pad": "x" * req.body.get("pad", 0)})
"""
SAY, MANY = "/api/ext/talk/say", "/api/ext/talk/many"


def test_events_reach_every_session_in_order(site: Site) -> None:
    site.extension("talk", SOURCE)
    one, two = site.session(), site.session()
    all_of, some = one.listen("talk"), two.listen("talk", topics=["disk.*", "exact"])
    for topic in ("disk.full", "other", "exact", "exactly", "disk."):
        assert one("POST", SAY, {"topic": topic, "data": [topic]}).status == 204
    got = [one.event(all_of) for _ in range(5)]
    assert [(each["topic"], each["data"], each["id"]) for each in got] == [
        ("disk.full", ["disk.full"], 1),
        ("other", ["other"], 2),
        ("exact", ["exact"], 3),
        ("exactly", ["exactly"], 4),
        ("disk.", ["disk."], 5),
    ]
    assert got[0]["extension"] == "talk"
    assert got[0]["time"].endswith("Z")
    assert [two.event(some)["id"] for _ in range(3)] == [1, 3, 5]
    again = two.listen("talk", after=3)
    assert [two.event(again)["id"] for _ in range(2)] == [4, 5]


def test_what_is_kept(site: Site) -> None:
    site.extension("talk", SOURCE)
    page = site.session(extension_events=100)
    assert page("POST", MANY, {"count": 110}).status == 204
    channel = page.listen("talk", after=0)
    assert [page.event(channel)["id"] for _ in range(100)] == list(range(11, 111))


def test_what_is_not_taken_is_counted(site: Site) -> None:
    site.extension("talk", SOURCE)
    limits: dict[str, Any] = {"window_bytes": 100_000, "extension_events_waiting_bytes": 100_000}
    page, slow = site.session(**limits), site.session(**limits)
    page.get("/api/extensions")  # the host belongs to the bridge that ends last
    channel = slow.listen("talk", flow_control=True)
    # Pongs are not sent: after the window nothing more is taken from the host.
    assert page("POST", MANY, {"count": 50, "pad": 20_000}).status == 204
    events = taken_late(slow, channel, 50)
    missed = [each["missed"] for each in events if "missed" in each]
    numbers = [each["data"]["number"] for each in events if "data" in each]
    assert numbers == sorted(numbers)
    assert missed
    assert sum(missed) + len(numbers) == 50


def taken_late(page: Page, channel: str, last: int) -> list[dict[str, Any]]:
    """What comes up to the event with this id; pongs are sent only now."""
    events: list[dict[str, Any]] = []
    while not events or events[-1].get("id") != last:
        frame = page.front_end.take(
            lambda frame: frame.channel == channel or frame.message.get("command") == "ping", "an event"
        )
        if frame.channel:
            events.append(json.loads(frame.payload))
        else:
            page.front_end.message({**frame.message, "command": "pong"})
    return events


@pytest.mark.parametrize(
    ("said", "named"),
    [({"topic": ""}, "topic"), ({"topic": "x" * 129}, "topic"), ({"topic": "x", "data": "x" * 262_144}, "bytes")],
)
def test_what_is_refused(shared: Site, said: dict[str, object], named: str) -> None:
    shared.extension("talk", SOURCE)
    page = shared.session()
    answer = page("POST", SAY, said)
    assert answer.error == (400, "refused")
    assert named in answer.json["message"]


def test_opens_that_are_wrong(shared: Site) -> None:
    shared.extension("talk", SOURCE)
    front_end = shared.session().front_end
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"extension": "absent"}, "not-found"),
        ({}, "protocol-error"),
        ({"extension": "talk", "topics": "x"}, "protocol-error"),
        ({"extension": "talk", "topics": [1]}, "protocol-error"),
        ({"extension": "talk", "after": "1"}, "protocol-error"),
        ({"extension": "talk", "after": True}, "protocol-error"),
        ({"extension": "talk", "port": 80}, "protocol-error"),
    ]
    for number, (members, problem) in enumerate(wrong):
        front_end.open(f"e{number}", "extension-events", internal="extensions", **members)
        front_end.expect("close", f"e{number}", problem=problem)


def test_all_that_is_kept_comes_again(site: Site) -> None:
    """However much it is: what may wait for a channel bounds what it does not take."""
    site.extension("talk", SOURCE)
    page = site.session(extension_events_waiting_bytes=100_000)
    assert page("POST", MANY, {"count": 50, "pad": 20_000}).status == 204
    channel = page.listen("talk", after=10)
    assert page("POST", SAY, {"topic": "newer"}).status == 204
    assert [page.event(channel).get("id") for _ in range(41)] == list(range(11, 52))


def test_what_goes_while_it_comes_again_is_counted(site: Site) -> None:
    site.extension("talk", SOURCE)
    page, slow = site.session(window_bytes=100_000, extension_events=50), site.session(window_bytes=100_000)
    page.get("/api/extensions")
    assert page("POST", MANY, {"count": 50, "pad": 20_000}).status == 204
    channel = slow.listen("talk", after=0, flow_control=True, topics=["n"])
    for topic in ["n", "other"] * 20:
        assert page("POST", SAY, {"topic": topic}).status == 204
    told = taken_late(slow, channel, 89)
    ids = [each["id"] for each in told if "id" in each]
    (missed,) = [each["missed"] for each in told if "missed" in each]
    assert "missed" not in told[0]
    assert ids == [*range(1, 41 - missed), *range(41, 51), *range(51, 91, 2)]


def test_an_id_of_another_host(site: Site) -> None:
    """Ids begin anew with each host: what is newer than one that it has not given is all that it has."""
    site.extension("talk", SOURCE)
    page = site.session()
    for number in range(3):
        assert page("POST", SAY, {"topic": "n", "data": number}).status == 204
    channel = page.listen("talk", after=5_000)
    assert [page.event(channel)["id"] for _ in range(3)] == [1, 2, 3]
