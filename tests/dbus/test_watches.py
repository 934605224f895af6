"""Watches of objects on a real bus (docs/dbus.md, "Watches" and "Owner")."""

import json
from typing import Any

import pytest
from dbus_fast import Message, Variant

from spanbridge.testing.frames import encode
from spanbridge.testing.plugin import Start

from ..bus.client import ERROR, BusClient
from .conftest import Open, Serve, connect, sync, until
from .service import INTROSPECTABLE, MANAGER, PROPERTIES, PrivateBus, Service, Tree

NAME = "com.example.Watched"
I = "com.example.I"  # noqa: E741
J = "com.example.J"


def of(**values: Any) -> dict[str, Variant]:
    return {name: Variant("s" if isinstance(value, str) else "u", value) for name, value in values.items()}


def meta(**types: str) -> dict[str, Any]:
    return {
        "methods": {},
        "properties": {name: {"flags": "r", "type": signature} for name, signature in types.items()},
        "signals": {},
    }


@pytest.fixture
def tree() -> Tree:
    return Tree({"/a": {I: of(N=1, S="x"), J: {}}, "/a/b": {I: of(N=2, S="y")}, "/ab": {J: {}}})


@pytest.fixture
def service(shared_bus: PrivateBus, serve: Serve, tree: Tree) -> Service:
    return serve(shared_bus, tree, NAME)


@pytest.fixture
def client(service: Service, open_bus: Open) -> BusClient:
    return open_bus(NAME)


def watch(client: BusClient, ident: str = "w", **asked: Any) -> list[Any]:
    """All that a watch is answered with, but for the answer."""
    client.say({"watch": asked, "id": ident})
    *told, answer = until(client, ident)
    assert answer == {"reply": [], "id": ident}
    return told


def merged(told: list[Any], kind: str = "notify") -> Any:
    """What several messages tell together."""
    found: dict[str, Any] = {}
    for message in told:
        for path, interfaces in message.get(kind, {}).items():
            found.setdefault(path, {}).update(interfaces)
    return found


def asked(service: Service) -> list[str]:
    """The questions so far, without their interface."""
    return [f"{each.member} {each.path}" for each in service.calls]


def test_one_object(client: BusClient, service: Service) -> None:
    assert watch(client, path="/a") == [
        {"meta": {I: meta(N="u", S="s"), J: meta()}},
        {"notify": {"/a": {I: {"N": 1, "S": "x"}, J: {}}}},
    ]
    assert asked(service) == ["Introspect /a", "GetAll /a"]
    assert watch(client, path="/a/b") == [{"notify": {"/a/b": {I: {"N": 2, "S": "y"}}}}]


def test_one_interface(client: BusClient) -> None:
    assert watch(client, path="/a", interface=J) == [{"meta": {J: meta()}}, {"notify": {"/a": {J: {}}}}]
    assert watch(client, path_namespace="/", interface=I) == [
        {"meta": {I: meta(N="u", S="s")}},
        {"notify": {"/a": {I: {"N": 1, "S": "x"}}, "/a/b": {I: {"N": 2, "S": "y"}}}},
    ]


@pytest.mark.parametrize(
    "nothing", [{"path": "/nowhere"}, {"path": "/a", "interface": "no.such"}, {"path_namespace": "/no/where"}], ids=str
)
def test_nothing_there_is_answered_alone(client: BusClient, nothing: dict[str, str]) -> None:
    assert watch(client, **nothing) == []


@pytest.mark.parametrize("space", [{}, {"path_namespace": "/"}], ids=str)
def test_all_without_a_manager(client: BusClient, service: Service, space: dict[str, str]) -> None:
    told = watch(client, **space)
    assert merged(told) == {
        "/a": {I: {"N": 1, "S": "x"}, J: {}},
        "/a/b": {I: {"N": 2, "S": "y"}},
        "/ab": {J: {}},
    }
    assert merged(told, "meta") == {I: meta(N="u", S="s"), J: meta()}
    assert asked(service).count("Introspect /a") == 1


def test_a_namespace_is_by_element(client: BusClient) -> None:
    assert set(merged(watch(client, path_namespace="/a"))) == {"/a", "/a/b"}


@pytest.mark.parametrize("manager", ["/", "/a"])
def test_with_a_manager(client: BusClient, service: Service, tree: Tree, manager: str) -> None:
    tree.manager = manager
    told = watch(client, path_namespace="/a")
    assert merged(told) == {"/a": {I: {"N": 1, "S": "x"}, J: {}}, "/a/b": {I: {"N": 2, "S": "y"}}}
    assert asked(service).count(f"GetManagedObjects {manager}") == 1
    assert len([each for each in asked(service) if each.startswith("GetAll")]) <= 1  # of the manager itself


def test_changes(client: BusClient, service: Service, tree: Tree) -> None:
    watch(client, path="/a")
    tree.change(service, "/a", I, N=Variant("u", 5))
    assert client.take("notify") == {"/a": {I: {"N": 5}}}
    tree.change(service, "/a", I, N=Variant("u", 5), S=Variant("s", "x"))  # as they were
    tree.change(service, "/a/b", I, N=Variant("u", 7))  # not watched
    tree.change(service, "/a", I, N=Variant("u", 6), S=Variant("s", "z"))
    assert client.take("notify") == {"/a": {I: {"N": 6, "S": "z"}}}
    service.round_trip()
    assert sync(client) == []


def test_what_is_only_declared_invalid_is_fetched(client: BusClient, service: Service, tree: Tree) -> None:
    tree.objects["/a"][I]["W"] = Variant("s", "secret")
    tree.write_only = {"W"}
    watch(client, path="/a")
    tree.change(service, "/a", I, ("N", "S", "W"), N=Variant("u", 5), S=Variant("s", "z"), W=Variant("s", "new"))
    assert client.take("notify") == {"/a": {I: {"N": 5, "S": "z"}}}
    tree.change(service, "/a", I, ("N",), N=Variant("u", 5))
    service.round_trip()
    assert sync(client) == []
    assert [each.body[1] for each in service.calls if each.member == "Get"].count("W") == 0


def test_interfaces_that_come_and_go(client: BusClient, service: Service, tree: Tree) -> None:
    tree.manager = "/"
    watch(client)
    tree.objects["/new"] = {"com.example.New": of(P=3), INTROSPECTABLE: {}}
    service.emit("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/new", tree.objects["/new"])
    assert client.next() == {"meta": {"com.example.New": meta(P="u")}}
    assert client.take("notify") == {"/new": {"com.example.New": {"P": 3}}}
    service.emit("/", MANAGER, "InterfacesRemoved", "oas", "/new", ["com.example.New", INTROSPECTABLE, "no.such"])
    assert client.take("notify") == {"/new": {"com.example.New": None}}
    service.emit("/", MANAGER, "InterfacesRemoved", "oas", "/new", ["com.example.New"])
    service.emit("/", MANAGER, "InterfacesAdded", "oa{sa{sv}}", "/a", {J: of(late=1)})
    assert client.take("notify") == {"/a": {J: {"late": 1}}}


def test_an_object_that_comes_up_without_a_manager(client: BusClient, service: Service, tree: Tree) -> None:
    watch(client)
    client.say({"add-match": {"interface": I}})
    sync(client)
    tree.objects["/a/new"] = {I: of(N=9)}
    service.send(
        Message.new_signal("/a/new", I, "Born"),
        Message.new_signal("/a/new", I, "Grown"),
    )
    assert client.take("notify") == {"/a/new": {I: {"N": 9}}}
    assert [client.take("signal")[2] for _ in range(2)] == ["Born", "Grown"]
    tree.objects["/a/other"] = {I: of(N=1)}
    tree.change(service, "/a/other", I, N=Variant("u", 2))
    assert client.take("notify") == {"/a/other": {I: {"N": 2}}}


def test_an_object_that_comes_up_later_at_a_watched_path(client: BusClient, service: Service, tree: Tree) -> None:
    assert watch(client, path="/later") == []
    tree.objects["/later"] = {I: of(N=1)}
    tree.change(service, "/later", I, N=Variant("u", 2))
    assert [list(client.next()) for _ in range(2)] == [["meta"], ["notify"]]


def test_standard_interfaces_are_told_of_by_name_alone(client: BusClient, service: Service, tree: Tree) -> None:
    tree.objects["/a"]["org.freedesktop.DBus.Extra"] = of(E=1)
    assert "org.freedesktop.DBus.Extra" not in json.dumps(watch(client, path="/a"))
    told = watch(client, path="/a", interface="org.freedesktop.DBus.Extra")
    assert merged(told) == {"/a": {"org.freedesktop.DBus.Extra": {"E": 1}}}


def test_watches_are_counted(client: BusClient, service: Service, tree: Tree) -> None:
    first = watch(client, path="/a")
    assert watch(client, path="/a") == first[1:]
    client.say({"unwatch": {"path": "/a"}})
    client.say({"unwatch": {"path": "/never"}})
    sync(client)
    tree.change(service, "/a", I, N=Variant("u", 5))
    assert client.take("notify") == {"/a": {I: {"N": 5}}}
    client.say({"unwatch": {"path": "/a"}})
    sync(client)
    tree.change(service, "/a", I, N=Variant("u", 6))
    service.round_trip()
    assert sync(client) == []
    assert merged(watch(client, path="/a"))["/a"][I]["N"] == 6


def test_a_watch_that_is_taken_back_in_the_same_breath(client: BusClient, service: Service, tree: Tree) -> None:
    messages = [{"watch": {"path": "/a"}, "id": "w"}, {"unwatch": {"path": "/a"}}]
    client.front.write(b"".join(encode(client.channel, json.dumps(each).encode()) for each in messages))
    assert until(client, "w") == [{"reply": [], "id": "w"}]
    tree.change(service, "/a", I, N=Variant("u", 7))
    service.round_trip()
    assert sync(client) == []


def test_a_watch_that_is_taken_back_and_asked_for_again(
    shared_bus: PrivateBus, serve: Serve, open_bus: Open, tree: Tree
) -> None:
    """While it is being set up."""
    held: list[Message] = []

    def hold_the_first(service: Service, message: Message) -> Message | None:
        if message.member == "Introspect" and not held:
            held.append(message)
            return None
        return tree(service, message)

    service = serve(shared_bus, hold_the_first, "com.example.Held")
    client = open_bus("com.example.Held")
    client.say({"watch": {"path": "/a/b"}})
    while not held:
        sync(client)
    messages = [{"unwatch": {"path": "/a/b"}}, {"watch": {"path": "/a/b"}, "id": "w"}]
    client.front.write(b"".join(encode(client.channel, json.dumps(each).encode()) for each in messages))
    sync(client)
    service.send(Message.new_method_return(held[0], "s", [tree.describe("/a/b")]))
    assert merged(until(client, "w")) == {"/a/b": {I: {"N": 2, "S": "y"}}}


def test_one_change_is_told_once_for_many_watches(client: BusClient, service: Service, tree: Tree) -> None:
    watch(client, path="/a")
    watch(client, path="/a", interface=I)
    watch(client)
    tree.change(service, "/a", I, N=Variant("u", 5))
    service.round_trip()
    assert sync(client) == [{"notify": {"/a": {I: {"N": 5}}}}]


def test_a_second_channel_is_told_of_what_is_known(client: BusClient, service: Service, open_bus: Open) -> None:
    watch(client)
    before = len(service.calls)
    other = open_bus(NAME)
    assert merged(watch(other)) == merged(watch(client))
    assert set(merged(watch(other, path="/a"))) == {"/a"}
    assert len(service.calls) == before


def test_a_call_after_a_watch_is_answered_after_it(client: BusClient, tree: Tree) -> None:
    tree.methods = {(I, "Do"): ("", "s", lambda: ["done"])}
    client.say({"watch": {}, "id": "w"})
    client.say({"call": ["/", I, "Do", []], "id": "c"})
    assert "w" in [message.get("id") for message in until(client, "c")]


def test_another_service_is_named(open_bus: Open, service: Service, tree: Tree) -> None:
    client = open_bus(None)
    assert [message["name"] for message in watch(client, path="/a", name=NAME)] == [NAME, NAME]
    tree.change(service, "/a", I, N=Variant("u", 5))
    assert client.next() == {"notify": {"/a": {I: {"N": 5}}}, "name": NAME}


def test_what_the_front_end_describes_it_is_not_told(client: BusClient) -> None:
    client.say({"meta": {I: {"properties": {"N": {"flags": "rw", "type": "u"}}}}})
    assert watch(client, path="/a")[0] == {"meta": {J: meta()}}


@pytest.mark.parametrize(
    "message",
    [
        {"watch": {"path": "a"}},
        {"watch": {"path": "/a", "path_namespace": "/a"}},
        {"watch": {"path": 5}},
        {"watch": {"interface": "a"}},
        {"watch": {"member": "a"}},
        {"watch": {"name": "a"}},
        {"watch": "/a"},
        {"unwatch": {"path": "a"}},
        {"meta": []},
        {"meta": {"a": {}}},
        {"meta": {I: {"methods": {"M": {"in": ["ss"]}}}}},
        {"meta": {I: {"methods": {"M": {"in": "s"}}}}},
        {"meta": {I: {"methods": {"M.M": {}}}}},
        {"meta": {I: {"properties": {"P": {"type": "z"}}}}},
        {"meta": {I: {"signals": {"S": {"in": [5]}}}}},
        {"meta": {I: 5}},
    ],
    ids=str,
)
def test_what_is_no_watch(client: BusClient, message: Any) -> None:
    client.say(message)
    client.front.expect("close", client.channel, problem="protocol-error")


# Owners


def test_an_owner_that_goes_and_comes(client: BusClient, service: Service, tree: Tree) -> None:
    told = watch(client, path="/a")
    service.disown(NAME)
    assert client.next() == {"owner": None}
    assert client.take("notify") == {"/a": {I: None, J: None}}
    tree.objects["/a"][I]["N"] = Variant("u", 8)
    service.own(NAME)
    assert client.next() == {"owner": service.unique_name}
    assert client.next() == {"notify": {"/a": {I: {"N": 8, "S": "x"}, J: {}}}}
    tree.change(service, "/a", I, N=Variant("u", 9))
    assert client.take("notify") == {"/a": {I: {"N": 9}}}
    assert len(told) == 2


def test_a_direct_hand_over(client: BusClient, shared_bus: PrivateBus, serve: Serve) -> None:
    watch(client)
    heir = serve(shared_bus, Tree({"/a": {I: {"N": Variant("s", "now a string")}}}), NAME)
    assert client.next() == {"owner": heir.unique_name}
    gone = client.take("notify")
    assert gone == {"/a": {I: None, J: None}, "/a/b": {I: None}, "/ab": {J: None}}
    assert client.next() == {"meta": {I: meta(N="s")}}
    assert client.take("notify") == {"/a": {I: {"N": "now a string"}}}


def test_a_watch_while_nobody_has_the_name(client: BusClient, service: Service) -> None:
    service.disown(NAME)
    assert client.next() == {"owner": None}
    assert watch(client, path="/a") == []
    assert client.ask({"call": ["/a", I, "M", []]})["error"][0] == ERROR + "ServiceUnknown"
    service.own(NAME)
    assert client.next() == {"owner": service.unique_name}
    assert [list(client.next()) for _ in range(2)] == [["meta"], ["notify"]]


def test_a_service_that_dies_while_it_is_asked(client: BusClient, service: Service, tree: Tree) -> None:
    tree.methods = {(PROPERTIES, "GetAll"): ("s", "a{sv}", lambda name: None)}
    client.say({"watch": {"path": "/a"}, "id": "w"})
    while "GetAll /a" not in asked(service):
        service.round_trip()
    service.stop()
    assert client.next() == {"owner": None}
    assert client.next() == {"reply": [], "id": "w"}


# Strange services


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no xml",
        '<!DOCTYPE node [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><node><interface name="&b;"/></node>',
        "<node>" * 1_000 + "</node>" * 1_000,
        "<node>" + " " * (4 << 20) + "</node>",
    ],
    ids=["empty", "text", "entities", "deep", "long"],
)
def test_descriptions_that_are_none(client: BusClient, tree: Tree, xml: str) -> None:
    tree.xml = {"/a": xml}
    assert watch(client, path="/a") == []
    assert merged(watch(client, path="/a/b")) == {"/a/b": {I: {"N": 2, "S": "y"}}}


def test_parts_of_a_description_that_are_wrong_are_left_out(client: BusClient, tree: Tree) -> None:
    tree.xml = {
        "/a": f'<!DOCTYPE node PUBLIC "-//x" "http://localhost/x.dtd"><node><interface name="{I}">'
        '<method name="Good"><arg type="s" direction="in"/></method><method name="Bad"><arg type="("/></method>'
        '<method name="b.ad"/><property name="N" type="u" access="read"/><property name="S" type="s" access="none"/>'
        '<signal name="Bad"><arg type=""/></signal></interface><interface name="bad"/><node name="../x"/></node>'
    }
    told = watch(client, path="/a")
    assert told[0]["meta"][I] == {
        "methods": {"Good": {"in": ["s"], "out": []}},
        "properties": {"N": {"flags": "r", "type": "u"}},
        "signals": {},
    }


def test_answers_of_other_types(client: BusClient, tree: Tree) -> None:
    tree.methods = {
        (PROPERTIES, "GetAll"): ("s", "as", lambda name: [["no properties"]]),
        (MANAGER, "GetManagedObjects"): ("", "s", lambda: ["no objects"]),
    }
    assert merged(watch(client)) == {"/a": {J: {}}, "/ab": {J: {}}}


def test_signals_of_other_types(client: BusClient, service: Service) -> None:
    watch(client)
    service.emit("/a", PROPERTIES, "PropertiesChanged", "s", I)
    service.emit("/", MANAGER, "InterfacesAdded", "as", [I])
    service.emit("/", MANAGER, "InterfacesRemoved")
    service.round_trip()
    assert sync(client) == []


def test_a_tree_without_end(client: BusClient, service: Service, tree: Tree) -> None:
    class Endless(dict[str, str]):
        def __contains__(self, path: object) -> bool:
            return True

        def __getitem__(self, path: str) -> str:
            return '<node><node name="x"/></node>'

    tree.xml = Endless()
    client.say({"watch": {}, "id": "w"})
    assert client.next()["error"][0] == ERROR + "LimitsExceeded"
    tree.xml = {}
    assert set(merged(watch(client))) == {"/a", "/a/b", "/ab"}


# Many


def test_many_objects_under_one_watch(shared_bus: PrivateBus, serve: Serve, open_bus: Open) -> None:
    count = 10_000
    objects = {f"/t/o{number}": {I: of(N=number, S=f"object {number} " + "x" * 150)} for number in range(count)}
    tree = Tree(objects, manager="/t")
    service = serve(shared_bus, tree, "com.example.Many")
    client = open_bus("com.example.Many")
    echo = "many-echo"
    client.front.open(echo, "echo")
    client.front.expect("ready", echo)
    client.say({"watch": {"path_namespace": "/t"}, "id": "w"})
    told = until(client, "w")[:-1]
    assert len(told) > 2
    found = merged(told)
    assert len(found) == count
    assert found["/t/o77"] == {I: {"N": 77, "S": "object 77 " + "x" * 150}}
    tree.change(service, "/t/o9999", I, N=Variant("u", 1))
    assert client.take("notify") == {"/t/o9999": {I: {"N": 1}}}
    service.disown("com.example.Many")
    assert client.next() == {"owner": None}
    gone: dict[str, Any] = {}
    while len(gone) < count:
        gone.update(client.take("notify"))
    assert set(map(json.dumps, gone.values())) == {json.dumps({I: None})}


def test_many_watches_cost_one_set_of_rules(start: Start, serve: Serve, tmp_path: Any) -> None:
    bus = PrivateBus(tmp_path / "bus", more='<limit name="max_match_rules_per_connection">10</limit>')
    tree = Tree({f"/o{number}": {I: of(N=number)} for number in range(100)})
    service = serve(bus, tree, NAME)
    try:
        client = connect(start(environ=bus.environ).front_end, NAME)
        for number in range(100):
            client.say({"watch": {"path": f"/o{number}"}, "id": f"{number}"})
        found = merged([client.next() for _ in range(201)])
        assert len(found) == 100
        tree.change(service, "/o55", I, N=Variant("u", 1))
        assert client.take("notify") == {"/o55": {I: {"N": 1}}}
    finally:
        bus.stop()
