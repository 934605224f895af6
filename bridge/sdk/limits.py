"""Every limit of a helper that is written with the SDK."""

import msgspec

from spanbridge.protocol.frames import LARGEST_FRAME, LONGEST_CONTROL


class HelperLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Names that end in `_bytes` are bytes, those in `_seconds` seconds.

    frame_bytes     the longest frame, either way
    control_bytes   the longest control message that is read
    read_bytes      most bytes read before the handlers have their turn
    channels        channels at once; a further open is closed with `too-large`
    channel_bytes   what waits for the handler of one channel before stdin is read no more
    intake_bytes    what waits for all handlers together before stdin is read no more
    outbox_bytes    what waits for the bridge before `send` waits
    answer_bytes    the same before stdin is read no more: pongs and the like do not wait as `send` does
    window_bytes    data that is on its way on a channel opened with `flow-control`, before `send` waits
    end_seconds     how long handlers may go on once stdin has ended
    flush_seconds   how long the last words may take to be written
    """

    frame_bytes: int = LARGEST_FRAME
    control_bytes: int = LONGEST_CONTROL
    read_bytes: int = 256 << 10
    channels: int = 10_000
    channel_bytes: int = 1 << 20
    intake_bytes: int = 16 << 20
    outbox_bytes: int = 256 << 10
    answer_bytes: int = 1 << 20
    window_bytes: int = 2 << 20
    end_seconds: float = 1.0
    flush_seconds: float = 1.0
