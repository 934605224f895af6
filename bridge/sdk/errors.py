"""What the SDK raises besides Problem."""


class ChannelClosed(Exception):
    """The channel is over: nothing more can be sent on it. A handler need not catch it."""


class BridgeGone(Exception):
    """Nobody reads our stdout any more."""


class ProtocolError(Exception):
    """What came on stdin is not the protocol; the text says what was expected, and what was found."""
