"""An object of the bus, as plain as they come: what docs/internal-bus.md shows."""

from collections.abc import Iterable

import anyio

from spanbridge.payloads.base import Services
from spanbridge.payloads.bus.bus import Outlet
from spanbridge.payloads.bus.errors import BusError
from spanbridge.payloads.bus.interface import method, readable, signal
from spanbridge.payloads.bus.signature import Variant


class Kettle:
    """`/kitchen/kettle`."""

    interface = "test.Kettle"
    signals = (signal("Whistled", "s note, u times"), signal("Cold"))

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self._outlet = outlet
        self._degrees = 20
        self.boiling = anyio.Event()
        self.waiting = 0
        self.heard: list[object] = []

    @readable("Degrees", "u")
    def degrees(self) -> int:
        return self._degrees

    @readable("Label", "s")
    def label(self) -> str:
        return "steel"

    @method("Boil", "u degrees", "u before")
    async def boil(self, degrees: int) -> int:
        """Answers when `boiling` is set."""
        self.waiting += 1
        try:
            await self.boiling.wait()
        finally:
            self.waiting -= 1
        before, self._degrees = self._degrees, degrees
        self._outlet.changed("Degrees")
        return before

    @method("Warm", "u degrees")
    def warm(self, degrees: int) -> None:
        self._degrees = degrees
        self._outlet.changed("Degrees", "Label")

    @method("Whistle", "s note, u times")
    def whistle(self, note: str, times: int) -> None:
        self._outlet.emit("Whistled", note, times)

    @method("Hear", "ay sound, a(sv) notes, a{xd} table")
    def hear(self, sound: bytes, notes: list[tuple[str, Variant]], table: dict[int, float]) -> None:
        self.heard += [sound, notes, table]

    @method("Two", "", "s one, as other")
    def two(self) -> tuple[str, Iterable[str]]:
        return "a", ["b", "c"]

    @method("Break")
    def break_it(self) -> None:
        raise BusError("test.Broken", "the handle came off")

    @method("BreakLater")
    async def break_later(self) -> None:
        await anyio.lowlevel.checkpoint()
        raise BusError("test.Broken", "the handle came off later")

    @method("Mistake")
    def mistake(self) -> None:
        raise ZeroDivisionError("nobody thought of this")

    @method("MistakeLater")
    async def mistake_later(self) -> None:
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError("nor of this")

    @method("WrongResult", "", "u number")
    def wrong_result(self) -> str:
        return "not a number"


class Lamp:
    """`/lamp`."""

    interface = "test.Lamp"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        self.outlet = outlet
        outlet.changed("On")  # nobody can have asked for it yet
        self.on = False

    @readable("On", "b")
    def is_on(self) -> bool:
        return self.on


class Puddle:
    """`/puddle`: cannot be made."""

    interface = "test.Puddle"

    def __init__(self, services: Services, outlet: Outlet) -> None:
        raise RuntimeError("it has not rained")


OBJECTS = {
    "/kitchen/kettle": (__name__, "Kettle"),
    "/lamp": (__name__, "Lamp"),
    "/puddle": (__name__, "Puddle"),
}
