"""Numbers of an open as they are written in it, where they are to stand in a command: -0, 0.10, 1e400."""

from collections.abc import Sequence
from typing import Any

import msgspec

from spanbridge.protocol.frames import control_payload


def as_written(message: dict[str, Any], names: Sequence[str], frame: bytes) -> dict[str, Any]:
    """The members of an open with numbers as text, for those of `names` that JSON may write in several ways. `frame` is
    the open as it came. The same object as `message` where there is none."""
    wanted = [name for name in names if _has_spellings(message.get(name))]
    if not wanted:
        return message
    import json

    texts = json.loads(control_payload(frame), parse_float=str, parse_int=str)
    return {**message, **{name: texts[name] for name in wanted if isinstance(texts.get(name), str)}}


def _has_spellings(value: Any) -> bool:
    if isinstance(value, float | msgspec.Raw):
        return True
    return type(value) is int and not value  # -0 is 0
