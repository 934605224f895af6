"""The samples of one channel, from what was read to what is said. No I/O."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from .compress import Compressed, Point, compress
from .derive import derive
from .request import SOURCE, Request, Wanted
from .values import Measured, Taken, Value

Instances: TypeAlias = tuple[list[str] | None, ...]
"""For each metric its instances in order, None for one that has none."""


class Series:
    """`add` has each sample in turn; `point` and `instances` are what it says, `compressed` the short form."""

    def __init__(self, request: Request, most_instances: int) -> None:
        self._request = request
        self._most = most_instances
        self._before: Mapping[str, Taken] = {}
        self._seen: list[Measured | None] = [None] * len(request.metrics)  # whose instances are in `instances`
        self._sent: Point | None = None
        self.instances: Instances = (None,) * len(request.metrics)
        self.point: Point = []
        self.clipped: set[str] = set()
        """Metrics of which only the first instances are shown."""

    def add(self, sample: Mapping[str, Taken]) -> bool:
        """The next sample: all metrics that were asked for. Whether other instances are shown than before."""
        values = [self._derived(wanted, sample[wanted.name]) for wanted in self._request.metrics]
        changed = False
        for place, measured in enumerate(values):
            seen = self._seen[place]
            if isinstance(measured, dict) and not (isinstance(seen, dict) and seen.keys() == measured.keys()):
                changed |= self._arrange(place, measured)
                self._seen[place] = measured
        self._before = sample
        self.point = [_of_instances(measured, names) for measured, names in zip(values, self.instances, strict=True)]
        if changed:
            self._sent = None
        return changed

    def _derived(self, wanted: Wanted, taken: Taken) -> Measured:
        counter = wanted.metric.semantics == "counter"
        return derive(wanted.derive, taken, self._before.get(wanted.name), counter=counter)

    def _arrange(self, place: int, measured: Mapping[str, Value]) -> bool:
        names = sorted(filter(self._request.shows, measured), key=_by_name)
        if len(names) > self._most:
            self.clipped.add(self._request.metrics[place].name)
            del names[self._most :]
        if names == self.instances[place]:
            return False
        self.instances = (*self.instances[:place], names, *self.instances[place + 1 :])
        return True

    def meta(self, timestamp: float, now: int) -> dict[str, Any]:
        """What is said before the next data, which is complete then."""
        self._sent = None
        return {
            "source": SOURCE,
            "interval": self._request.interval,
            "timestamp": timestamp,
            "now": now,
            "metrics": list(map(_described, self._request.metrics, self.instances)),
        }

    def packed(self) -> Compressed | Point:
        """The last sample, without what the front end knows already."""
        last, self._sent = self._sent, self.point
        return self.point if last is None else compress(self.point, last)


def _described(wanted: Wanted, instances: list[str] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": wanted.name,
        "units": wanted.metric.units,
        "semantics": wanted.metric.semantics,
    }
    if wanted.derive is not None:
        told["derive"] = wanted.derive
    if instances is not None:
        told["instances"] = instances
    return told


def _of_instances(measured: Measured, names: list[str] | None) -> Value | list[Value]:
    return [measured[name] for name in names or ()] if isinstance(measured, dict) else measured


def _by_name(name: str) -> tuple[int, str]:
    """Numbers come first, by value."""
    return (int(name), name) if name.isascii() and name.isdecimal() else (-1, name)
