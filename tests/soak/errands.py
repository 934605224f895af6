"""What the bridge is asked to do itself: one channel each, and what must become of it."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from .peer import payload
from .site import EXTENSION, FILE, NAME, PACKAGE, Site


class Outcome:
    """All that came on the channel, up to its end."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.told: dict[str, dict[str, Any]] = {}  # control messages by command

    @property
    def bytes(self) -> bytes:
        return b"".join(self.data)

    @property
    def problem(self) -> str | None:
        return self.told["close"].get("problem")


class Errand(NamedTuple):
    """`wrong` says what is, or nothing. `closed_by_us`: after how many messages. `then`: on the same id, after it.
    `own`: whether what has come of one that failed is its own as far as it goes."""

    options: Mapping[str, Any]
    sends: tuple[bytes, ...]
    wrong: Callable[[Outcome], str]
    done: bool = True
    closed_by_us: int = 0
    then: "Errand | None" = None
    own: Callable[[Outcome], bool] = lambda outcome: True


class Order(NamedTuple):
    """What chance has decided of one: its key, where its file is, the sizes of what it sends."""

    key: str
    place: int
    sizes: tuple[int, ...]

    @property
    def sends(self) -> tuple[bytes, ...]:
        return tuple(payload(self.key, "up", number, size) for number, size in enumerate(self.sizes))

    @property
    def text(self) -> str:
        """The same, as text."""
        return b"".join(self.sends).hex()[: 1 << 17]


Make = Callable[[Site, Order], Errand]


def program(site: Site, order: Order) -> Errand:
    """What it reads, it writes."""
    return _there_and_back(order, {"payload": "stream", "spawn": ["cat"]}, {"exit-status": 0})


def program_of_a_window(site: Site, order: Order) -> Errand:
    return _there_and_back(order, {"payload": "stream", "spawn": ["cat"], "flow-control": True}, {"exit-status": 0})


def failing_program(site: Site, order: Order) -> Errand:
    script = "cat >/dev/null; echo $0 >&2; exit 3"
    options = {"payload": "stream", "spawn": ["sh", "-c", script, order.key], "err": "message"}
    expected = {"exit-status": 3, "message": f"{order.key}\n"}
    return Errand(options, order.sends, lambda outcome: _differs(outcome, b"", expected))


def dying_program(site: Site, order: Order) -> Errand:
    options = {"payload": "stream", "spawn": ["sh", "-c", "echo $0; kill -9 $$", order.key]}
    expected = f"{order.key}\n".encode()
    return Errand(options, (), lambda outcome: _differs(outcome, expected, {"exit-signal": "KILL"}))


def terminal(site: Site, order: Order) -> Errand:
    options = {"payload": "stream", "spawn": ["sh", "-c", "echo $0; tty >/dev/null", order.key], "pty": True}
    expected = f"{order.key}\r\n".encode()
    return Errand(options, (), lambda outcome: _differs(outcome, expected, {"exit-status": 0}), done=False)


def far_program(site: Site, order: Order) -> Errand:
    return _there_and_back(order, {"payload": "stream", "spawn": ["cat"], "host": site.host}, {"exit-status": 0})


def far_file(site: Site, order: Order) -> Errand:
    options = {"payload": "fsread1", "path": "/proc/self/comm", "host": site.host}
    return Errand(options, (), lambda outcome: "" if outcome.bytes and not outcome.problem else "no file there")


def unix_socket(site: Site, order: Order) -> Errand:
    return _there_and_back(order, {"payload": "stream", "unix": str(site.sockets / "echo")}, {})


def echo(site: Site, order: Order) -> Errand:
    return _there_and_back(order, {"payload": "echo"}, {})


def file(site: Site, order: Order) -> Errand:
    """Written, then read, then looked at; nobody else has it."""
    path = str(site.files / f"place-{order.place}")
    order = order._replace(sizes=order.sizes or (1,))  # without any data it would be removed
    content = b"".join(order.sends)

    def wrong(outcome: Outcome) -> str:
        if len(outcome.data) != 1:
            return f"expected one message, found {outcome.data}, closed with {outcome.told['close']}"
        info = json.loads(outcome.data[0])
        found = info.get("info", info).get("size")
        return "" if found == len(content) else f"expected the size {len(content)}, found {info}"

    info = Errand({"payload": "fsinfo", "path": path, "attrs": ["size"]}, (), wrong, done=False)
    read = _there_and_back(order, {"payload": "fsread1", "path": path, "max_read_size": 1 << 24}, {}, then=info)
    read = read._replace(sends=(), done=False)
    write = {"payload": "fsreplace1", "path": path, "binary": "raw"}
    return Errand(write, order.sends, lambda outcome: _differs(outcome, b"", {}), then=read)


def watched_file(site: Site, order: Order) -> Errand:
    options = {"payload": "fswatch1", "path": str(site.files / f"place-{order.place}")}
    return Errand(options, (), lambda outcome: "", done=False)


def http(site: Site, order: Order) -> Errand:
    def wrong(outcome: Outcome) -> str:
        head = outcome.told.get("response", {})
        headers = {name.lower(): value for name, value in head.get("headers", {}).items()}
        if (head.get("status"), headers.get("x-key")) != (200, order.key):
            return f"expected 200 and the key, found {head}"
        return _differs(outcome, b"".join(order.sends), {})

    return Errand(_request(site, order, "POST"), order.sends, wrong)


def broken_http(site: Site, order: Order) -> Errand:
    def wrong(outcome: Outcome) -> str:
        if outcome.problem is None:
            return "half an answer passes for one"
        return "" if outcome.bytes == order.key.encode() else f"expected the key, found {outcome.bytes[:100]!r}"

    return Errand(_request(site, order, "GET"), (), wrong)


def websocket(site: Site, order: Order) -> Errand:
    text = order.text.encode()
    options = {"payload": "websocket-stream1", "unix": str(site.sockets / "websocket"), "path": "/"}
    return Errand(options, (text,), lambda outcome: _differs(outcome, text, {}), done=False, closed_by_us=1)


def package(site: Site, order: Order) -> Errand:
    options = {
        "payload": "http-stream1",
        "internal": "packages",
        "method": "GET",
        "path": f"/{PACKAGE}/file.bin",
        "binary": "raw",
    }

    def wrong(outcome: Outcome) -> str:
        if not outcome.data or json.loads(outcome.data[0]).get("status") != 200:
            return f"expected 200, found {outcome.data[:1]}"
        return "" if b"".join(outcome.data[1:]) == FILE else "expected the file of the package, found something else"

    return Errand(options, (), wrong)


def bus(site: Site, order: Order) -> Errand:
    call = {"call": ["/", NAME, "Echo", [order.text]], "type": "s", "id": order.key}
    options = {"payload": "dbus-json3", "bus": "session", "name": NAME}
    return _call(options, call, order.text, messages=2)  # who has the name, and the answer


def internal_bus(site: Site, order: Order) -> Errand:
    call = {"call": ["/environment", "org.freedesktop.DBus.Properties", "GetAll", ["cockpit.Environment"]]}
    return _call({"payload": "dbus-json3", "bus": "internal"}, {**call, "id": order.key}, None, messages=1)


def extension(site: Site, order: Order) -> Errand:
    asked = {"key": order.key, "text": order.text}
    found = {"found": [{"key": order.key, "size": len(order.text)}], "text": order.text}

    def wrong(outcome: Outcome) -> str:
        if outcome.told.get("response", {}).get("status") != 200:
            return f"expected 200, found {outcome.told} {outcome.bytes[:200]!r}"
        if outcome.problem is not None:
            return f"closed with {outcome.told['close']} after {len(outcome.bytes)} bytes"
        try:
            same = json.loads(outcome.bytes) == found
        except ValueError:
            return f"{len(outcome.bytes)} bytes that are no JSON, {outcome.told}"
        return "" if same else f"another's answer: {outcome.bytes[:200]!r}"

    options = {
        "payload": "http-stream2",
        "internal": "extensions",
        "method": "POST",
        "path": f"/api/ext/{EXTENSION}/keys",
        "headers": {"Content-Type": "application/json"},
    }
    body = json.dumps(asked).encode()
    sends = tuple(body[at : at + 60_000] for at in range(0, len(body), 60_000))
    return Errand(options, sends, wrong, own=lambda outcome: _begins_with(outcome, order.key))


def kept(site: Site, order: Order, keys: Collection[str]) -> Errand:
    """All these keys were answered: they are in the database, whatever has died since."""

    def wrong(outcome: Outcome) -> str:
        if outcome.problem is not None or outcome.told.get("response", {}).get("status") != 200:
            return f"expected 200, found {outcome.told} {outcome.bytes[:200]!r}"
        lost = sorted(set(keys) - set(json.loads(outcome.bytes)))
        return f"{len(lost)} of {len(keys)} that were answered are lost, among them {lost[:3]}" if lost else ""

    options = {"payload": "http-stream2", "internal": "extensions", "method": "GET"}
    return Errand({**options, "path": f"/api/ext/{EXTENSION}/keys"}, (), wrong)


def metrics(site: Site, order: Order) -> Errand:
    options = {"payload": "metrics1", "source": "internal", "interval": 100, "metrics": [{"name": "memory.used"}]}

    def wrong(outcome: Outcome) -> str:
        if len(outcome.data) < 2:
            return f"expected two messages, found {outcome.data}, closed with {outcome.told['close']}"
        meta, samples = (json.loads(data) for data in outcome.data[:2])
        return "" if "interval" in meta and samples[0][0] > 0 else f"found {meta} and {samples}"

    return Errand(options, (), wrong, done=False, closed_by_us=2)


KINDS: Final[Mapping[Make, int]] = {
    program: 10,
    program_of_a_window: 6,
    failing_program: 2,
    dying_program: 2,
    terminal: 4,
    unix_socket: 10,
    echo: 8,
    file: 10,
    watched_file: 2,
    http: 10,
    broken_http: 3,
    websocket: 5,
    package: 5,
    bus: 10,
    internal_bus: 3,
    extension: 6,
    metrics: 2,
    far_program: 6,
    far_file: 2,
}
"""How often each, beside the others."""

FAR: Final = (far_program, far_file)


def _there_and_back(
    order: Order, options: Mapping[str, Any], close: Mapping[str, Any], then: Errand | None = None
) -> Errand:
    expected = b"".join(order.sends)
    return Errand(
        {**options, "binary": "raw"},
        order.sends,
        lambda outcome: _differs(outcome, expected, close),
        then=then,
        own=lambda outcome: expected.startswith(outcome.bytes),
    )


def _call(options: Mapping[str, Any], call: Mapping[str, Any], answer: str | None, messages: int) -> Errand:
    def wrong(outcome: Outcome) -> str:
        if len(outcome.data) != messages:
            return f"expected {messages} messages, found {str(outcome.data)[:300]}, closed with {outcome.told['close']}"
        last = json.loads(outcome.data[-1])
        if last.get("id") != call["id"] or "reply" not in last:
            return f"expected the answer to {call['id']}, found {str(last)[:300]}"
        return "" if answer is None or last["reply"] == [[answer]] else f"another's answer: {str(last)[:300]}"

    def own(outcome: Outcome) -> bool:
        return all(json.loads(data).get("id", call["id"]) == call["id"] for data in outcome.data)

    sends = (json.dumps(call).encode(),)
    return Errand(options, sends, wrong, done=False, closed_by_us=messages, own=own)


def _begins_with(outcome: Outcome, key: str) -> bool:
    head = outcome.bytes[:80]
    return outcome.told.get("response", {}).get("status") != 200 or len(head) < 80 or f'"{key}"'.encode() in head


def _request(site: Site, order: Order, method: str) -> dict[str, Any]:
    return {
        "payload": "http-stream2",
        "unix": str(site.sockets / "http"),
        "method": method,
        "path": "/",
        "headers": {"X-Key": order.key},
        "binary": "raw",
    }


def _differs(outcome: Outcome, data: bytes, close: Mapping[str, Any]) -> str:
    told = outcome.told["close"]
    if outcome.problem is not None:
        return f"closed with {told}"
    if any(told.get(name) != value for name, value in close.items()):
        return f"expected a close with {dict(close)}, found {told}"
    found = outcome.bytes
    return "" if found == data else f"expected {len(data)} bytes {data[:60]!r}, found {len(found)}: {found[:60]!r}"
