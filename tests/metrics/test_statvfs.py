"""File systems that answer, and those that do not."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from spanbridge.payloads.metrics import statvfs
from spanbridge.payloads.metrics.statvfs import Prober, Size, size_of


class FileSystems:
    """Made up: those in `dead` do not answer before `revive`."""

    def __init__(self, *dead: str) -> None:
        self.dead = set(dead)
        self.called: Counter[str] = Counter()
        self._revived = threading.Event()

    def size_of(self, point: str) -> Size:
        self.called[point] += 1
        if point == "gone":
            raise FileNotFoundError(point)
        if point in self.dead:
            self._revived.wait()
        return 100, len(point)

    def revive(self) -> None:
        self.dead.clear()
        self._revived.set()


@pytest.fixture
def file_systems() -> Iterator[FileSystems]:
    made = FileSystems()
    yield made
    made.revive()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statvfs, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(statvfs, "NEXT_SECONDS", 0.02)


def threads() -> int:
    return sum(thread.name == "statvfs" for thread in threading.enumerate())


def test_the_size_of_a_real_one() -> None:
    total, used = size_of("/")
    assert total > used > 0
    assert Prober().ask(["/", "/no/such"])["/no/such"] is None


def test_all_answer(file_systems: FileSystems) -> None:
    prober = Prober(file_systems.size_of)
    assert prober.ask(["a", "bb", "gone"]) == {"a": (100, 1), "bb": (100, 2), "gone": None}
    assert prober.ask([]) == {}


def test_dead_ones_have_no_answer_and_are_not_called_again(file_systems: FileSystems) -> None:
    file_systems.dead |= {"x", "y"}
    prober = Prober(file_systems.size_of)
    for _ in range(3):
        assert prober.ask(["x", "a", "y", "b"]) == {"x": None, "a": (100, 1), "y": None, "b": (100, 1)}
    assert file_systems.called == {"x": 1, "y": 1, "a": 3, "b": 3}


def test_one_that_comes_back(file_systems: FileSystems) -> None:
    file_systems.dead.add("x")
    prober = Prober(file_systems.size_of)
    assert prober.ask(["x"]) == {"x": None}
    file_systems.revive()
    while threads():  # its call returns
        pass
    assert prober.ask(["x"]) == {"x": (100, 1)}


def test_many_dead_ones_leave_a_thread_for_the_living(file_systems: FileSystems) -> None:
    prober = Prober(file_systems.size_of, threads=4)
    assert prober.ask(["a", "b"]) == {"a": (100, 1), "b": (100, 1)}
    dead = [f"dead{number}" for number in range(20)]
    file_systems.dead |= set(dead)
    for _ in range(3):
        answers = prober.ask(["a", *dead, "b"])
        assert answers == {**dict.fromkeys(dead), "a": (100, 1), "b": (100, 1)}
    assert threads() == 3
    assert sum(file_systems.called[point] for point in dead) == 3


def test_one_that_dies_later_is_not_trusted_again(file_systems: FileSystems) -> None:
    prober = Prober(file_systems.size_of, threads=2)
    assert prober.ask(["a", "b"]) == {"a": (100, 1), "b": (100, 1)}
    file_systems.dead.add("a")
    assert prober.ask(["a", "b"])["a"] is None
    assert prober.ask(["a", "b"]) == {"a": None, "b": (100, 1)}


def test_without_a_thread_none_has_a_size(file_systems: FileSystems, monkeypatch: pytest.MonkeyPatch) -> None:
    prober = Prober(file_systems.size_of)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert prober.ask(["a", "bc"]) == {"a": None, "bc": None}
    assert prober.ask(["a", "bc"]) == {"a": (100, 1), "bc": (100, 2)}


def test_without_another_thread_those_have_one_that_are_called_already(
    file_systems: FileSystems, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_systems.dead.add("dead")
    prober = Prober(file_systems.size_of)
    begin, begun = threading.Thread.start, list[threading.Thread]()

    def start(thread: threading.Thread) -> None:
        if begun:
            refuse(thread)
        begun.append(thread)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert prober.ask(["a", "dead", "b"]) == {"a": (100, 1), "dead": None, "b": None}


def refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_name_that_the_locale_does_not_have(tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + "/\u20ac".encode()
    os.mkdir(place)
    ask = f"from {statvfs.__name__} import size_of; print(size_of({place!r}.decode()) > (0, 0))"
    environ = {"PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert subprocess.check_output([sys.executable, "-c", ask], env=environ) == b"True\n"
