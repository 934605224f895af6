"""D-Bus values as JSON, by signature (docs/internal-bus.md, "Values"; types: D-Bus Specification, "Type System").

| signature       | in Python     | in JSON                                                        |
|-----------------|---------------|----------------------------------------------------------------|
| `y n q i u x t` | int           | whole number; `x t` also as a string of digits, to be exact    |
| `d`             | float         | number                                                         |
| `b`             | bool          | true, false                                                    |
| `s o g`         | str           | string                                                         |
| `ay`            | bytes         | string, base64                                                 |
| `aT`            | list          | list                                                           |
| `a{KT}`         | dict          | object; a key that is no string is written as its JSON text    |
| `(T...)`        | tuple         | list                                                           |
| `v`             | Variant       | object: `t` the signature, `v` the value                       |

`h`, a descriptor, is a type like others, but no JSON stands for a value of it.
"""

import binascii
import re
import sys
from typing import Any, Final

import msgspec

from spanbridge.manifests.member import MemberError, Path, wrong

from .signature import SignatureError, Type, Variant, is_path, type_of, types_of

DEEPEST_VALUE: Final = 64

_INTEGERS: Final = {
    "y": (0, 2**8 - 1),
    "n": (-(2**15), 2**15 - 1),
    "q": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "u": (0, 2**32 - 1),
    "x": (-(2**63), 2**63 - 1),
    "t": (0, 2**64 - 1),
}
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_DIGITS: Final = re.compile("-?[0-9]{1,20}")
_LARGEST_FLOAT: Final = sys.float_info.max  # neither infinity nor NaN has a place in JSON


# From JSON


def from_json(kind: Type, value: Any, path: Path = ()) -> Any:
    """The value of type `kind` that decoded JSON stands for.

    `path` is where it stands. Raises MemberError, which says where, what was found and what was expected.
    """
    if len(path) > DEEPEST_VALUE:
        raise MemberError(path, f"nested deeper than {DEEPEST_VALUE} levels")
    code = kind.code
    if code in _INTEGERS:
        return _integer(code, value, path)
    if code in "sog":
        return _text(code, value, path)
    if code == "b":
        if isinstance(value, bool):
            return value
        raise wrong(path, value, "true or false")
    if code == "d":
        return _float(value, path)
    if code == "v":
        return _variant(value, path)
    if code == "(":
        return tuple(many_from_json(kind.inner, value, path))
    if code == "h":
        raise MemberError(path, "a descriptor (h) cannot be sent")
    return _array(kind.inner[0], value, path)


def many_from_json(kinds: tuple[Type, ...], values: Any, path: Path = ()) -> list[Any]:
    """The same for a list of values, one for each type."""
    if not kinds and values == []:
        return []
    if not isinstance(values, list):
        raise wrong(path, values, f"a list of {len(kinds)}")
    if len(values) != len(kinds):
        expected = f"{len(kinds)} ({''.join(kind.text for kind in kinds)})" if kinds else "none"
        raise MemberError(path, f"found {len(values)} values, expected {expected}")
    return [
        from_json(kind, value, (*path, index)) for index, (kind, value) in enumerate(zip(kinds, values, strict=True))
    ]


def _integer(code: str, value: Any, path: Path) -> int:
    least, most = _INTEGERS[code]
    number = value
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str) and code in "xt" and _DIGITS.fullmatch(value) is not None:
        number = int(value)  # a program whose numbers are floats can be exact this way
    if type(number) is int and least <= number <= most:
        return number
    raise wrong(path, value, f"a whole number from {least} to {most} ({code})")


def _float(value: Any, path: Path) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST_FLOAT:
        return float(value)
    raise wrong(path, value, "a number (d)")


def _text(code: str, value: Any, path: Path) -> str:
    if not isinstance(value, str):
        raise wrong(path, value, f"a string ({code})")
    if "\0" in value:
        raise MemberError(path, "found a string with a NUL, expected one without")
    if not value.isascii() and _SURROGATES.search(value) is not None:
        raise MemberError(path, "found a string with a lone surrogate, expected one without")
    if code == "o" and not is_path(value):
        raise wrong(path, value, "an object path (o)")
    if code == "g":
        _checked_signature(value, path)
    return value


def _checked_signature(value: str, path: Path) -> tuple[Type, ...]:
    try:
        return types_of(value)
    except SignatureError as error:
        raise MemberError(path, str(error)) from None


def _variant(value: Any, path: Path) -> Variant:
    if not isinstance(value, dict) or "t" not in value or "v" not in value:
        raise wrong(path, value, 'an object with "t", a signature, and "v", a value (v)')
    signature = _text("g", value["t"], (*path, "t"))
    types = _checked_signature(signature, (*path, "t"))
    if len(types) != 1:
        raise wrong((*path, "t"), signature, "a signature of one complete type")
    return Variant(signature, from_json(types[0], value["v"], (*path, "v")))


def _array(inner: Type, value: Any, path: Path) -> Any:
    if inner.code == "y":
        return _bytes(value, path)
    if inner.code == "{":
        if not isinstance(value, dict):
            raise wrong(path, value, f"an object (a{inner.text})")
        of_key, of_value = inner.inner
        return {
            _key(of_key, name, (*path, name)): from_json(of_value, member, (*path, name))
            for name, member in value.items()
        }
    if not isinstance(value, list):
        raise wrong(path, value, f"a list (a{inner.text})")
    return [from_json(inner, member, (*path, index)) for index, member in enumerate(value)]


def _bytes(value: Any, path: Path) -> bytes:
    if isinstance(value, str):
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            pass
    raise wrong(path, value, "a string in base64 (ay)")


def _key(kind: Type, name: str, path: Path) -> Any:
    """A key that is no string stands as its JSON text."""
    if kind.code in "sog":
        return _text(kind.code, name, path)
    try:
        value = msgspec.json.decode(name)
    except (msgspec.MsgspecError, RecursionError):
        raise wrong(path, name, f"the JSON text of a key ({kind.code})") from None
    return from_json(kind, value, path)


# To JSON


def to_json(kind: Type, value: Any) -> Any:
    """What stands for `value`, of type `kind`, in JSON. Raises TypeError or ValueError where it is of another type."""
    code = kind.code
    if code == "v":
        if not isinstance(value, Variant):
            raise TypeError(f"found {value!r}, expected a Variant")
        return {"t": value.signature, "v": to_json(type_of(value.signature), value.value)}
    if code == "a":
        return _array_to_json(kind.inner[0], value)
    if code == "(":
        return many_to_json(kind.inner, value)
    return _basic_to_json(code, value)


def many_to_json(kinds: tuple[Type, ...], values: "tuple[Any, ...] | list[Any]") -> list[Any]:
    """The same for values of several types."""
    return [to_json(kind, value) for kind, value in zip(kinds, values, strict=True)]


def _array_to_json(inner: Type, value: Any) -> Any:
    if inner.code == "y":
        return binascii.b2a_base64(value, newline=False).decode()
    if inner.code == "{":
        of_key, of_value = inner.inner
        return {_key_to_json(of_key.code, key): to_json(of_value, member) for key, member in value.items()}
    if not isinstance(value, list | tuple):
        raise TypeError(f"found {value!r}, expected a list (a{inner.text})")
    return [to_json(inner, member) for member in value]


def _key_to_json(code: str, key: Any) -> str:
    told = _basic_to_json(code, key)
    return told if isinstance(told, str) else msgspec.json.encode(told).decode()


def _basic_to_json(code: str, value: Any) -> Any:
    try:
        if code in _INTEGERS:
            return _integer(code, value, ())
        if code == "d":
            return _float(value, ())
        if code in "sog":
            value.encode()  # a lone surrogate has no place in JSON
            return _text(code, value, ())
    except MemberError as error:
        raise TypeError(error.message) from None
    if not isinstance(value, bool):
        raise TypeError(f"found {value!r}, expected a bool")
    return value


# Text


def as_utf8(text: str) -> str:
    """What the system says (a file name, a variable) with U+FFFD for each byte that is no UTF-8, and for each NUL,
    which has no place in a string on the bus."""
    return text.encode(errors="surrogateescape").decode(errors="replace").replace("\0", "\ufffd")
