"""What did not change is not sent again."""

from typing import TypeAlias

from .values import Value

Point: TypeAlias = list[Value | list[Value]]
"""One moment: a value for each metric, a list of values for one with instances."""

Compressed: TypeAlias = list[Value | list[Value | None] | None]


def compress(point: Point, last: Point) -> Compressed:
    """`point` with None for what is as in `last`, which has the same form. What is None at the end is left out."""
    packed: Compressed = [
        _shortened([_change(value, known) for value, known in zip(now, before, strict=True)])
        if isinstance(now, list) and isinstance(before, list)
        else _change(now, before)
        for now, before in zip(point, last, strict=True)
    ]
    while packed and (packed[-1] is None or packed[-1] == []):
        packed.pop()
    return packed


def _change(value: Value | list[Value], last: Value | list[Value]) -> Value | None:
    # 0 == False, but no value is another value than 0.
    if isinstance(value, list) or (value == last and (value is False) == (last is False)):
        return None
    return value


def _shortened(values: list[Value | None]) -> list[Value | None]:
    end = len(values)
    while end and values[end - 1] is None:
        end -= 1
    return values[:end]
