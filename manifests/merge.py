"""JSON Merge Patch (RFC 7396)."""

from __future__ import annotations

from typing import Any


def merge(target: Any, patch: Any) -> Any:
    """`target` as `patch` changes it (RFC 7396, section 2): a new value, which may share parts with both.

    Objects merge member by member and null removes; anything else replaces. It calls itself as deep as `patch`
    is nested: the caller bounds that.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result
