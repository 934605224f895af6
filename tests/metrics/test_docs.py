"""docs/metrics.md: its examples work, its table is what there is."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from spanbridge.payloads.metrics.registry import METRICS
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from ..docs.pages import DOCS, blocks, tables, words
from ..docs.shell import run
from ..missing import lack
from .conftest import Sampled
from .samples import Samples

PAGE = DOCS / "metrics.md"

CHANNEL = """
const channel = {
    addEventListener(name, handler) { this.handler = handler; },
};
const told = [];
follow(channel, (point, meta) => told.push([point, meta.metrics.length]));
for (const text of require("fs").readFileSync(0, "utf8").trimEnd().split("\\n"))
    channel.handler({}, text);
console.log(JSON.stringify(told));
"""


def test_every_block_is_accounted_for() -> None:
    assert {block.tag for block in blocks(PAGE)} == {"example", "hand", "shape", "follow", "rules"}


def test_the_open_that_is_shown(sampled: Sampled) -> None:
    (block,) = blocks(PAGE, "js", "example")
    asked = re.sub(r"(\w+):", r'"\1":', block.text[block.text.index("{") : block.text.rindex("}") + 1])
    options = json.loads(re.sub(r",(\s*[]}])", r"\1", asked))
    assert options.pop("payload") == "metrics1"
    samples = sampled(*options.pop("metrics"), **options)
    assert [each["name"] for each in samples.meta()["metrics"]] == ["memory.used", "cpu.core.user"]


def test_by_hand(home: Home) -> None:
    (block,) = blocks(PAGE, "sh", "hand")
    (shown,) = blocks(PAGE, "text", "shape")
    ran = run(block._replace(text=block.text.replace("timeout", "! timeout")), home.root, home.environ)
    meta, *data = whole(ran.out.decode())
    like, *shapes = map(json.loads, shown.text.splitlines())
    assert without_numbers(meta) == without_numbers({**like, "metrics": meta["metrics"]})
    (metric,) = meta["metrics"]
    assert {**metric, "instances": 0} == {**like["metrics"][0], "instances": 0}
    assert "lo" in metric["instances"]
    assert data[0] == [[[False] * len(metric["instances"])]]
    assert set(map(json.dumps, shapes)) >= {"[[[false, false]]]", "[[]]"}


def whole(text: str) -> list[Any]:
    """The messages that were written one after another."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        message, end = decoder.raw_decode(text)
        found.append(message)
        text = text[end:]
    return found


def without_numbers(meta: dict[str, Any]) -> dict[str, Any]:
    return {name: type(value) if name in ("timestamp", "now") else value for name, value in meta.items()}


def test_what_fills_in_what_was_left_out(sampled: Sampled) -> None:
    if shutil.which("node") is None:
        lack("missing: node (Debian package nodejs)")
    (block,) = blocks(PAGE, "js", "follow")
    metrics = ["cpu.basic.user", {"name": "cpu.core.system", "derive": "delta"}, "memory.free", "network.interface.rx"]
    samples = sampled(*metrics, interval=10)
    texts = [samples.text() for _ in range(40)]
    while texts[-1].startswith("{"):  # a meta, whose data is still to come
        texts.append(samples.text())
    ran = subprocess.run(
        ["node", "-e", block.text + CHANNEL], input="\n".join(texts), capture_output=True, text=True, check=True
    )
    known, expected = Replayed(texts), []
    while known.texts:
        expected.append([known.point(), len(metrics)])
    assert json.loads(ran.stdout) == expected


class Replayed(Samples):
    """The same messages, for the test's own reading of them."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = list(texts)
        self.known = {}
        self._last = None

    def text(self) -> str:
        return self.texts.pop(0)


def test_the_table_of_metrics() -> None:
    ((_, *rows),) = tables(PAGE, "What there is")
    listed = {}
    for name, units, semantics, instances, _ in rows:
        prefix, *rest = words(name)
        for each in rest:
            listed[prefix + each] = (units, semantics, instances != "-")
    assert listed == {name: (metric.units, metric.semantics, metric.instances) for name, metric in METRICS.items()}


@pytest.mark.parametrize("source", ["direct", "pmcd", "pcp-archive", "/var/log/pcp/pmlogger"])
def test_the_rules_that_leave_internal_to_the_bridge(source: str, start: Start) -> None:
    (block,) = blocks(PAGE, "json", "rules")
    front = start(*json.loads(block.text)["bridges"]).front_end
    assert Samples(front, "memory.used", channel="ours").meta()["source"] == "internal"
    closed = Samples(front, "memory.used", channel="theirs", source=source).closed()
    assert closed["problem"] == "not-supported"  # the helper that is shown is not there
