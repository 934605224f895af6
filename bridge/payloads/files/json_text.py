"""JSON for names that need not be text: lone surrogates stand for bytes that are not UTF-8, and go out as escapes."""

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def json_bytes(value: Any) -> bytes:
    """`value` as JSON in UTF-8."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
