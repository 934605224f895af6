"""examples/helpers/sqlite_query.py."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd

ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "files and #1?.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table files (name text, size integer, content blob)")
        connection.executemany(
            "insert into files values (?, ?, ?)", [("a", 1, b"\x00\xff"), ("b", 2, None), ("c", 3, b"")]
        )
    return path


class Client:
    """Asks on one channel."""

    def __init__(self, front_end: FrontEnd, database: Path, channel: str = "a") -> None:
        self.front_end = front_end
        self.channel = channel
        self._lines = b""
        front_end.open(channel, "sqlite", database=str(database))
        front_end.expect("ready", channel)

    def send(self, sql: str, **members: Any) -> None:
        self.front_end.send(self.channel, json.dumps({"sql": sql, **members}).encode())

    def line(self) -> Any:
        while b"\n" not in self._lines:
            frame = self.front_end.take(lambda frame: frame.channel == self.channel, f"a line on {self.channel}")
            self._lines += frame.payload
        line, _, self._lines = self._lines.partition(b"\n")
        return json.loads(line)

    def ask(self, sql: str, **members: Any) -> list[Any]:
        """All lines of the answer."""
        self.send(sql, **members)
        lines = [self.line()]
        while not (isinstance(lines[-1], dict) and ("rows" in lines[-1] or "error" in lines[-1])):
            lines.append(self.line())
        return lines


@pytest.fixture
def client(front_end: FrontEnd, database: Path) -> Client:
    return Client(front_end, database)


def test_rows_come_as_lines_of_json(client: Client) -> None:
    assert client.ask("select name, size, content from files where size > ? order by size", parameters=[0], id="x") == [
        {"id": "x", "columns": ["name", "size", "content"]},
        ["a", 1, "AP8="],
        ["b", 2, None],
        ["c", 3, ""],
        {"id": "x", "rows": 3, "more": False},
    ]
    assert client.ask("select :n", parameters={"n": 2.5})[1] == [2.5]
    assert [row[1] for row in client.ask("pragma table_info(files)")[1:-1]] == ["name", "size", "content"]
    assert client.ask("select 1 where 0") == [{"id": None, "columns": ["1"]}, {"id": None, "rows": 0, "more": False}]


def test_queries_of_a_channel_are_answered_in_their_order(client: Client) -> None:
    for number in range(20):
        client.send("select ?", parameters=[number], id=number)
    for number in range(20):
        assert client.line()["id"] == number
        assert client.line() == [number]
        assert client.line()["rows"] == 1
    client.front_end.control("done", channel="a")
    client.front_end.expect("done", "a")
    assert client.front_end.expect("close", "a") == {"command": "close", "channel": "a"}


def test_result_sets_are_bounded(client: Client) -> None:
    numbers = "with recursive n(x) as (select 1 union all select x + 1 from n) select x from n"
    assert client.ask(numbers, limit=3)[1:] == [[1], [2], [3], {"id": None, "rows": 3, "more": True}]
    answer = client.ask(numbers, limit=1_000_000)
    assert answer[-1] == {"id": None, "rows": 10_000, "more": True}
    assert [row for (row,) in answer[1:-1]] == list(range(1, 10_001))
    large = client.ask(numbers.replace("select x from", "select hex(zeroblob(400000)) from"))
    assert large[-1]["more"]
    assert large[-1]["rows"] * 800_000 < 10 << 20


def test_what_cannot_be_answered_is_told_and_the_channel_goes_on(client: Client) -> None:
    for sql, told in (
        ("selct 1", 'near "selct": syntax error'),
        ("select * from nowhere", "no such table: nowhere"),
        ("select 1; select 2", "one statement at a time"),
        ("select ?", "binding"),
        ("insert into files values ('d', 4, null)", "not authorized"),
        ("create temp table more as select * from files", "not authorized"),
        ("attach '/tmp/other.db' as other", "not authorized"),
        ("begin", "not authorized"),
        ("pragma query_only = off", "not authorized"),
        ("select load_extension('x')", "not authorized"),
        ("select hex(zeroblob(3000000))", "too big"),
    ):
        assert told in client.ask(sql, id=1)[-1]["error"]
        assert client.ask("select 1")[1] == [1]


def test_what_is_no_query_closes_the_channel(front_end: FrontEnd, database: Path) -> None:
    for message in (b"select 1", b"{}", b'{"sql": 1}', b'{"sql": "select 1", "other": 1}'):
        channel = Client(front_end, database, message.decode()).channel
        front_end.send(channel, message)
        told = front_end.expect("close", channel, problem="protocol-error")["message"]
        assert "expected a message in JSON" in told


def test_one_process_for_each_database(bridge: Bridge, client: Client, tmp_path: Path, database: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(database, other)
    clients = [client, Client(client.front_end, database, "b"), Client(client.front_end, other, "c")]
    assert [each.ask("select count(*) from files")[1] for each in clients] == [[3]] * 3
    assert len(processes.children(bridge.pid)) == 2


def test_a_query_ends_when_its_channel_is_closed(bridge: Bridge, client: Client, database: Path) -> None:
    other = Client(client.front_end, database, "b")
    client.send(ENDLESS)
    assert other.ask("select 1")[1] == [1]
    client.front_end.close("a")
    client.front_end.expect("close", "a")
    again = Client(client.front_end, database, "a")
    again.send(ENDLESS)
    assert other.ask("select 2")[1] == [2]
    assert bridge.end() == 0
    assert bridge.log.matches(r'helper-ended.*how="exited with status 0"')
    assert "Traceback" not in bridge.log.text


def test_a_writable_one(bridge: Bridge, front_end: FrontEnd, database: Path) -> None:
    rule = {"match": {"payload": "sqlite"}, "spawn": ["sqlite_query.py", "--writable", "${database}"]}
    bridge.package("writable", rule, priority=10)
    client = Client(front_end, database)
    client.ask("insert into files values ('d', 4, null)")
    assert "too many attached" in client.ask("attach '/tmp/other.db' as other")[-1]["error"]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select count(*) from files").fetchone() == (4,)


def test_what_is_no_database(front_end: FrontEnd, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database at all, and longer than a header of one would be" * 10)
    for channel, path, problem, told in (
        ("a", text, "not-supported", "file is not a database"),
        ("b", tmp_path / "nothing", "not-found", "no such file"),
        ("c", tmp_path, "not-found", "no such file"),
    ):
        front_end.open(channel, "sqlite", database=str(path))
        assert told in front_end.expect("close", channel, problem=problem)["message"]
