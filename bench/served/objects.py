"""A service with many objects below /objects, on the bus at an address: `python -m bench.served.objects ADDRESS`."""

import os
import socket
import sys
from itertools import count

from dbus_fast import Message, MessageType, Variant
from dbus_fast._private.unmarshaller import Unmarshaller

from bench.served.bus import NAME, OBJECTS

ROOT = "/objects"
INTERFACE = "bench.Item"

_ITEM = f"""<node><interface name="{INTERFACE}">
<property name="Name" type="s" access="read"/><property name="Size" type="t" access="read"/>
<property name="Active" type="b" access="read"/></interface></node>"""
_MANAGER = """<node><interface name="org.freedesktop.DBus.ObjectManager">
<method name="GetManagedObjects"><arg name="objects" type="a{{oa{{sa{{sv}}}}}}" direction="out"/></method>
</interface>{nodes}</node>"""


def properties(number: int) -> dict[str, Variant]:
    return {
        "Name": Variant("s", f"item {number}"),
        "Size": Variant("t", number),
        "Active": Variant("b", number % 2 == 0),
    }


MANAGED = {f"{ROOT}/{number}": {INTERFACE: properties(number)} for number in range(OBJECTS)}
TREE = _MANAGER.format(nodes="".join(f'<node name="{number}"/>' for number in range(OBJECTS)))


def answer(message: Message) -> Message | None:
    """What is called of it."""
    if message.message_type is not MessageType.METHOD_CALL or message.path is None:
        return None
    if message.member == "Introspect":
        return Message.new_method_return(message, "s", [TREE if message.path == ROOT else _ITEM])
    if message.member == "GetManagedObjects" and message.path == ROOT:
        return Message.new_method_return(message, "a{oa{sa{sv}}}", [MANAGED])
    if message.member == "GetAll" and message.path in MANAGED:
        return Message.new_method_return(message, "a{sv}", [MANAGED[message.path][INTERFACE]])
    return None


def connect(address: str) -> socket.socket:
    """A connection to a bus, authenticated."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address.removeprefix("unix:path=").partition(",")[0])
    uid = str(os.getuid()).encode().hex()
    connection.sendall(f"\0AUTH EXTERNAL {uid}\r\n".encode())
    if not connection.recv(1024).startswith(b"OK "):
        raise ConnectionError("the bus does not take us")
    connection.sendall(b"BEGIN\r\n")
    return connection


def main() -> None:
    """Serve until the bus ends."""
    connection = connect(sys.argv[1])
    serials = count(1)

    def send(message: Message) -> None:
        connection.sendall(message._marshall(False))

    for member, signature, body in (("Hello", "", []), ("RequestName", "su", [NAME, 0])):
        call = Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member=member,
            signature=signature,
            body=body,
            serial=next(serials),
        )
        send(call)
    with connection:
        reader = Unmarshaller(sock=connection)
        while message := reader.unmarshall():
            if (
                message.message_type is MessageType.SIGNAL
                and message.member == "NameAcquired"
                and message.body == [NAME]
            ):
                print("ready", flush=True)
            elif (reply := answer(message)) is not None:
                reply.serial = next(serials)
                send(reply)


if __name__ == "__main__":
    main()
