"""What the options of an open say that all channels have in common."""

from typing import Final, NamedTuple

from ..base import capabilities
from .options import Options

_ACKS: Final = "bytes"


class Terms(NamedTuple):
    """As a channel keeps them."""

    kind: str
    raw: bool
    flow_control: bool
    acks: bool


def terms_of(options: Options) -> Terms:
    """Raises Problem."""
    raw = options.raw
    options.check_capabilities(capabilities(options.of))
    flow_control = options.boolean("flow-control")
    return Terms(options.of, raw, flow_control, options.choice("send-acks", None, _ACKS) == _ACKS)
