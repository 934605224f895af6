"""Members that only front ends read: whether they have the shape that manifests/written.py describes."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from msgspec import inspect

from spanbridge.manifests.member import MemberError, Path, wrong
from spanbridge.manifests.written import Manifest

_OF_THE_LOADER: Final = frozenset(("name", "priority", "conditions", "requires", "require", "bridges"))
"""Members that the loader reads itself, and says more about."""


def misshapen(manifest: dict[str, Any], *, override: bool) -> Iterator[MemberError]:
    """Everything in members for front ends that is not as they expect it. In an override null may stand anywhere."""
    for name, expected in _members().items():
        if name in manifest:
            yield from _wrong(manifest[name], expected, (name,), override=override)


@cache
def _members() -> dict[str, inspect.Type]:
    info = inspect.type_info(Manifest)
    if not isinstance(info, inspect.StructType):
        raise TypeError("Manifest is no Struct")
    return {field.encode_name: field.type for field in info.fields if field.encode_name not in _OF_THE_LOADER}


def _wrong(value: Any, expected: inspect.Type, path: Path, *, override: bool) -> Iterator[MemberError]:
    if value is None and override:
        return
    if isinstance(expected, inspect.Metadata):
        expected = expected.type
    match expected:
        case inspect.StructType(fields=fields):
            if not isinstance(value, dict):
                yield wrong(path, value, "an object")
                return
            for field in fields:
                if field.encode_name in value:
                    here = (*path, field.encode_name)
                    yield from _wrong(value[field.encode_name], field.type, here, override=override)
                elif field.required and not override:
                    yield MemberError(path, f"no {field.encode_name}")
        case inspect.DictType(value_type=inner):
            if not isinstance(value, dict):
                yield wrong(path, value, "an object")
                return
            for name, each in value.items():
                yield from _wrong(each, inner, (*path, name), override=override)
        case inspect.ListType(item_type=inner):
            if not isinstance(value, list):
                yield wrong(path, value, "a list")
                return
            for index, each in enumerate(value):
                yield from _wrong(each, inner, (*path, index), override=False)
        case inspect.StrType():
            if not isinstance(value, str):
                yield wrong(path, value, "a string")
            elif expected.pattern and not re.fullmatch(expected.pattern, value):  # $ is before a line break, too
                yield wrong(path, value, f"a string that fits {expected.pattern}")
        case inspect.FloatType():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield wrong(path, value, "a number")
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield wrong(path, value, "true or false")
