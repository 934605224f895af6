"""However the stream is cut into pieces, each channel sees the same."""

from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.sdk import Channel, HelperLimits, ProtocolError, open_helper
from spanbridge.testing.frames import encode, encode_control

from .peer import MemoryWire

CHANNELS = ("a", "bb", "ż")

payloads = st.binary(max_size=40) | st.integers(1, 4_000).map(lambda size: b"x" * size)
frames = st.lists(st.tuples(st.sampled_from(CHANNELS), payloads), max_size=30)
cuts = st.lists(st.integers(0, 1 << 30), max_size=30)


async def converse(chunks: list[bytes], **limits: Any) -> dict[str, list[bytes | str]]:
    """What comes back on each channel: data, and commands."""
    wire = MemoryWire()
    wire.fed.extend(chunk for chunk in chunks if chunk)
    wire.ended = True

    async def echo(channel: Channel) -> None:
        await channel.ready()
        async for payload in channel:
            await channel.send(payload)
        await channel.done()

    async with open_helper(wire=wire, limits=HelperLimits(**limits), signals=()) as helper:
        await helper.serve(echo)
    found: dict[str, list[bytes | str]] = {}
    for frame in wire.frames[1:]:
        if frame.channel:
            found.setdefault(frame.channel, []).append(frame.payload)
        else:
            found.setdefault(frame.message.get("channel", ""), []).append(frame.message["command"])
    return found


@settings(max_examples=60, deadline=None)
@given(frames, cuts, st.sampled_from([{}, {"channel_bytes": 200, "intake_bytes": 300, "outbox_bytes": 100}]))
def test_any_split(sent: list[tuple[str, bytes]], cuts: list[int], limits: dict[str, int]) -> None:
    control = [encode_control({"command": "init", "version": 1, "host": "h"})]
    control += [encode_control({"command": "open", "channel": channel}) for channel in CHANNELS]
    data = b"".join(control) + b"".join(encode(channel, payload) for channel, payload in sent)
    at = sorted({cut % len(data) for cut in cuts})
    chunks = [data[start:stop] for start, stop in zip([0, *at], [*at, len(data)], strict=True)]
    found = anyio.run(lambda: converse(chunks, **limits))
    for channel in CHANNELS:
        expected = [payload for name, payload in sent if name == channel]
        assert found[channel] == ["ready", *expected, "done", "close"]


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
commands = st.sampled_from(["init", "open", "close", "done", "ping", "pong", "options", "kill", "made-up"]) | json
messages = st.builds(
    lambda command, channel, members: {**members, "command": command, **channel},
    commands,
    st.just({}) | st.sampled_from(CHANNELS).map(lambda channel: {"channel": channel}) | st.builds(dict, channel=json),
    st.dictionaries(st.sampled_from(["flow-control", "send-acks", "sequence", "version", "x"]), json, max_size=3),
)
anything = st.one_of(
    messages.map(encode_control),
    st.builds(encode, st.sampled_from(CHANNELS), st.binary(max_size=20)),
    st.binary(max_size=20),
)


@settings(max_examples=200, deadline=None)
@given(st.booleans(), st.lists(anything, max_size=12))
def test_whatever_comes_it_is_served_or_a_protocol_error(greeted: bool, sent: list[bytes]) -> None:
    chunks = [encode_control({"command": "init", "version": 1, "host": "h"})] * greeted + sent
    try:
        anyio.run(lambda: converse(chunks, end_seconds=5.0))
    except ProtocolError as error:
        assert "\n" not in str(error)  # noqa: PT017 - not being raised is as good
