"""The properties of one interface of an object as they are kept: one JSON text, or, where that is long, one for each.

Many short texts would take several times the memory of one. A long one would be read and written as a whole for each
small change.
"""

from typing import Any, Final, NamedTuple

import msgspec

from .skipping import is_large

Properties = bytes | dict[str, msgspec.Raw]

_join: Final = msgspec.json.encode
_split: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode: Final = msgspec.json.decode


class Change(NamedTuple):
    """`kept`: the properties from now on; `text`: of those that are other than before."""

    kept: Properties
    text: bytes


def keep(text: bytes) -> Properties:
    return _split(text) if is_large(text) else text


def text_of(kept: Properties) -> bytes:
    return kept if isinstance(kept, bytes) else _join(kept)


def change(kept: Properties, text: bytes, *, whole: bool) -> Change | None:
    """With the properties of which this is the text, in the place of those that are kept; None: nothing is other than
    before. `whole`: there are no others."""
    old = _split(kept) if isinstance(kept, bytes) else kept
    new = _split(text)
    changed = {name: raw for name, raw in new.items() if name not in old or not _same(old[name], raw)}
    if not changed:
        return None
    if whole:
        return Change(keep(text), _join(changed))
    if isinstance(kept, bytes):
        return Change(keep(_join({**old, **changed})), _join(changed))
    for name, raw in changed.items():
        kept[name] = raw.copy()  # else it would keep all of the text that it stands in
    return Change(kept, _join(changed))


def _same(old: msgspec.Raw, new: msgspec.Raw) -> bool:
    """A dictionary is the same in any order."""
    one, other = bytes(old), bytes(new)
    return one == other or _same_value(_decode(one), _decode(other))


def _same_value(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)
