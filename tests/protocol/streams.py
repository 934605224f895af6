"""Streams of frames, made to hit what a fast splitter may trip over, and ways to cut them into chunks."""

from itertools import pairwise

from hypothesis import strategies as st

# Some look like a length, some are longer than others, two begin alike; not all of them are open at first.
IDS = [b"a", b"b", b"1", b"5", b"12", b"10", b"aa", b"ab", b"abc", "\N{SNOWMAN}".encode(), b"0", b"{}", b"-"]
PLACES = ["north", "south", "east"]
# What payloads are filled with: nothing special, ends of lines, headers.
FILLERS = [b"x", b"\n", b"1", b"2\na\n", b"\na\n", b"5\n12\nx", b"4\nab\n\n", b"6\n\n{}\n\n", b"\xff\x00"]


def frame(ident: bytes, payload: bytes) -> bytes:
    return str(len(ident) + 1 + len(payload)).encode() + b"\n" + ident + b"\n" + payload


def filled(filler: bytes, size: int) -> bytes:
    return (filler * (size // len(filler) + 1))[:size]


def change(ident: bytes, place: str | None, size: int = 0) -> bytes:
    """A control frame that opens `ident` towards `place`, or closes it; of at least `size` bytes after its length."""
    told = b"-" + ident if place is None else b"+" + ident + b" " + place.encode()
    return frame(b"", told.ljust(size - 1))


def act(payload: bytes, routes: dict[bytes, str]) -> None:
    """What the consumer does about a control frame. No id is empty, or has a line feed in it."""
    told = payload.rstrip()
    ident, _, place = told[1:].partition(b" ")
    if told.startswith(b"+") and place and ident and b"\n" not in ident:
        routes[ident] = place.decode("latin-1")
    elif told.startswith(b"-"):
        routes.pop(ident, None)


routes = st.dictionaries(st.sampled_from(IDS), st.sampled_from(PLACES))
idents = st.sampled_from(IDS)
fillers = st.sampled_from(FILLERS)
counts = st.one_of(st.integers(1, 6), st.sampled_from([4, 5, 16, 20, 21, 64, 84, 85, 100]))


@st.composite
def runs(draw: st.DrawFn) -> bytes:
    """Frames with the same header; the payloads may differ."""
    ident, size = draw(idents), draw(st.integers(0, 12))
    payloads = [filled(filler, size) for filler in draw(st.lists(fillers, min_size=1, max_size=3))]
    count = draw(counts)
    return b"".join(frame(ident, payloads[index % len(payloads)]) for index in range(count))


@st.composite
def same_lengths(draw: st.DrawFn) -> bytes:
    """Frames of one length on several channels with ids of several lengths, control frames among them."""
    size = draw(st.integers(4, 14))
    menu = draw(st.lists(st.one_of(idents, idents, st.just(b"")), min_size=1, max_size=5))
    filler = draw(fillers)
    pieces = []
    for index in range(draw(counts)):
        ident = menu[index % len(menu)]
        pieces.append(frame(ident, filled(filler, max(0, size - len(ident) - 1))))
    return b"".join(pieces)


@st.composite
def changes(draw: st.DrawFn) -> bytes:
    """A control frame that changes the routes, of a length that data frames have too."""
    return change(draw(idents), draw(st.one_of(st.none(), st.sampled_from(PLACES))), draw(st.integers(0, 14)))


@st.composite
def changes_within_runs(draw: st.DrawFn) -> bytes:
    """One channel's frames, which move to another place between two of them, all of one length."""
    ident, filler = draw(idents), draw(fillers)
    pieces = []
    for place in draw(st.lists(st.one_of(st.none(), st.sampled_from(PLACES)), min_size=1, max_size=4)):
        pieces.append(change(ident, place, 11))
        pieces += [frame(ident, filled(filler, len(pieces[0]) - 4 - len(ident)))] * draw(st.integers(0, 9))
    return b"".join(pieces)


@st.composite
def single(draw: st.DrawFn) -> bytes:
    """Any frame."""
    payload = draw(st.one_of(st.binary(max_size=30), st.builds(filled, fillers, st.integers(0, 60))))
    return frame(draw(st.one_of(idents, st.just(b""))), payload)


@st.composite
def nested(draw: st.DrawFn) -> bytes:
    """A frame whose payload is frames."""
    return frame(draw(idents), draw(st.one_of(runs(), same_lengths())))


streams = st.lists(
    st.one_of(runs(), same_lengths(), changes(), changes_within_runs(), single(), nested()), max_size=6
).map(b"".join)

# What cannot be the rest of any stream.
broken_ends = st.sampled_from(
    [
        b"\n",
        b"0\n",
        b"01\na\n",
        b"-1\na\n",
        b"+3\na\nx",
        b" 3\na\nx",
        b"3 \na\nx",
        b"3\r\na\nx",
        b"x",
        b"1x",
        b"123456789\n",
        b"100000000",
        b"1_0\na\n",
        "\N{ARABIC-INDIC DIGIT THREE}\na\nx".encode(),
        b"1\na",
        b"3\nabc",
        b"0" * 9,
        b"\xff",
    ]
)


def chunked(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream cut at these offsets."""
    return [stream[start:stop] for start, stop in pairwise(sorted({0, *cuts, len(stream)}))]


def frame_ends(stream: bytes) -> list[int]:
    """Where the frames end, up to the first that is none."""
    ends, at = [], 0
    while (line := stream.find(b"\n", at)) > at and stream[at:line].isdigit():
        at = line + 1 + int(stream[at:line])
        if at > len(stream):
            break
        ends.append(at)
    return ends


@st.composite
def chunks_of(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The stream in one piece, byte by byte, frame by frame, in equal pieces or in any others."""
    how = draw(st.sampled_from(["whole", "bytes", "frames", "equal", "any"]))
    cuts: list[int] = []
    if how == "bytes":
        cuts = list(range(len(stream)))
    elif how == "frames":
        cuts = frame_ends(stream)
    elif how == "equal":
        cuts = list(range(0, len(stream), draw(st.integers(2, 40))))
    elif how == "any":
        cuts = draw(st.lists(st.integers(0, len(stream)), max_size=9))
    return chunked(stream, cuts)
