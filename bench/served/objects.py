"""A service with many objects below /objects, on the bus at an address: `python -m bench.served.objects ADDRESS`."""

import asyncio
import sys

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

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


async def main() -> None:
    bus = await MessageBus(bus_address=sys.argv[1]).connect()
    bus.add_message_handler(answer)
    await bus.request_name(NAME)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
