"""What objects say of themselves: payloads/bus/introspection."""

import pytest

from spanbridge.payloads.bus import introspection
from spanbridge.payloads.bus.introspection import Node, Unreadable, parse
from spanbridge.payloads.bus.turns import Turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Turns(Turn):
    """Counts the pauses."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.count = 0

    async def pause(self) -> None:
        self.count += 1


async def read(xml: str) -> tuple[Node, int]:
    turns = Turns()
    return await parse(xml, turns), turns.count


async def test_a_long_one_is_read_a_piece_at_a_time() -> None:
    names = [f"child{number}" for number in range(20_000)]
    methods = "".join(f'<method name="M{number}"><arg type="s"/></method>' for number in range(10_000))
    nodes = "".join(f'<node name="{name}"/>' for name in names)
    xml = f'<node><interface name="a.b">{methods}</interface>{nodes}</node>'
    node, pauses = await read(xml)
    assert node.children == names
    assert len(node.interfaces["a.b"].methods) == 10_000
    assert pauses >= len(xml) // introspection._PIECE_BYTES
    again, pauses = await read(xml)
    assert again is node
    assert pauses == 0


@pytest.mark.parametrize("xml", ["", "<node>", "<node/>x", "x" * 100_000, "<node>" + "<a/>" * 50_000 + "</other>"])
async def test_what_is_none(xml: str) -> None:
    with pytest.raises(Unreadable):
        await read(xml)
