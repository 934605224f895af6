"""What an open of `metrics1` asks for."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from spanbridge.protocol.problems import NOT_SUPPORTED, PROTOCOL_ERROR, Problem

from ..served.options import Options
from .derive import DELTA, RATE
from .registry import METRICS, SUBJECTS, Metric

SOURCE: Final = "internal"
INTERVAL: Final = 1000
"""Milliseconds, unless the open says otherwise."""

_METRICS: Final = 1000
_INTERVALS: Final = (1 << 31) - 1


class Wanted(msgspec.Struct, frozen=True):
    """One entry of `metrics`."""

    name: str
    metric: Metric
    derive: str | None


class Request(msgspec.Struct, frozen=True):
    """A checked open. `instances`: only these, `omitted`: none of these; None for all."""

    metrics: tuple[Wanted, ...]
    subjects: Mapping[str, frozenset[str]]  # what is to be read: subject -> metrics, in the order of SUBJECTS
    interval: int
    instances: frozenset[str] | None
    omitted: frozenset[str] | None

    def shows(self, instance: str) -> bool:
        if self.instances is not None:
            return instance in self.instances
        return self.omitted is None or instance not in self.omitted


def request(message: Mapping[str, Any]) -> Request:
    """What an open message says. Raises Problem: `protocol-error` for what nobody can mean, `not-supported` for what
    there is not."""
    options = Options(message)
    source = options.text("source")
    if source != SOURCE:
        told = f'metrics1: nobody serves the source {source[:80]!r}; "{SOURCE}" is served, others need a package'
        raise Problem(NOT_SUPPORTED, told)
    interval = options.integer("interval", INTERVAL, least=1, most=_INTERVALS)
    only = options.texts("instances", None)
    omitted = options.texts("omit-instances", None)
    if only is not None and omitted is not None:
        raise Problem(PROTOCOL_ERROR, '"instances" and "omit-instances" of metrics1: expected one of them, found both')
    metrics = tuple(_wanted(message.get("metrics")))
    return Request(
        metrics,
        _subjects(metrics),
        interval,
        None if only is None else frozenset(only),
        None if omitted is None else frozenset(omitted),
    )


def _subjects(metrics: Iterable[Wanted]) -> dict[str, frozenset[str]]:
    return {
        subject: names
        for subject in SUBJECTS
        if (names := frozenset(each.name for each in metrics if each.metric.subject == subject))
    }


def _wanted(entries: Any) -> list[Wanted]:
    if not isinstance(entries, list) or not 0 < len(entries) <= _METRICS:
        raise Problem(PROTOCOL_ERROR, f'"metrics" of metrics1: expected a list of 1 to {_METRICS} objects')
    return [_entry(entry, f'"metrics[{place}]" of metrics1') for place, entry in enumerate(entries)]


def _entry(entry: Any, place: str) -> Wanted:
    if not isinstance(entry, dict):
        raise Problem(PROTOCOL_ERROR, f"{place}: expected an object with a name")
    members = Options(entry, place)
    name = members.text("name")
    derive = members.choice("derive", None, RATE, DELTA)
    units = members.text("units", None)
    metric = METRICS.get(name)
    if metric is None:
        raise Problem(NOT_SUPPORTED, f"{place}: there is no metric {name[:80]!r}")
    if units is not None and units != metric.units:
        raise Problem(NOT_SUPPORTED, f"{place}: {name} has the units {metric.units}, and no {units[:80]!r}")
    return Wanted(name, metric, derive)
