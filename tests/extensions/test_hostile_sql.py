"""SQL that must not work, beside honest SQL of the same shapes that must."""

import contextlib
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanbridge.extensions.database.database import Database
from spanbridge.extensions.database.late import Watch
from spanbridge.extensions.database.statements import split
from spanbridge.extensions.errors import SqliteError

P = "ext_my_ext_"

HONEST = f"""
CREATE TABLE {P}a (id INTEGER PRIMARY KEY AUTOINCREMENT, n TEXT UNIQUE, j REAL DEFAULT 1, CHECK (j > 0))
CREATE TABLE IF NOT EXISTS {P}b (a INTEGER REFERENCES {P}a (id) ON DELETE CASCADE, t TEXT) STRICT
CREATE TABLE EXT_MY_EXT_c (x) WITHOUT ROWID
CREATE TABLE "{P}with space" (x)
CREATE TABLE [{P}d] AS SELECT 1 AS x, 'y' AS z
CREATE INDEX {P}i ON {P}a (n, j)
CREATE UNIQUE INDEX {P}u ON {P}b (t) WHERE t IS NOT NULL
CREATE VIEW {P}v AS SELECT a.n, b.t FROM {P}a AS a LEFT JOIN {P}b AS b ON b.a = a.id
CREATE TRIGGER {P}t AFTER INSERT ON {P}a BEGIN INSERT INTO {P}b VALUES (new.id, 'of;' || new.n); SELECT 1; END
CREATE VIRTUAL TABLE {P}f USING fts5(title, body, tokenize = 'porter ascii')
CREATE VIRTUAL TABLE {P}r USING rtree(id, a, b)
INSERT INTO {P}a (n) VALUES ('x'), ('y'), ('z')
INSERT INTO {P}a (n) VALUES ('x') ON CONFLICT (n) DO UPDATE SET j = j + excluded.j
INSERT OR REPLACE INTO {P}a (id, n) VALUES (1, 'x')
REPLACE INTO {P}a (id, n) VALUES (2, 'y')
INSERT INTO {P}a (n) VALUES ('w') RETURNING id, n
INSERT INTO {P}f VALUES ('hello world', 'a body'), ('other', 'hello')
INSERT INTO {P}f({P}f) VALUES ('optimize')
INSERT INTO {P}r VALUES (1, 0, 1), (2, 1, 2)
SELECT count(*), sum(j), group_concat(n, ';') FROM {P}a
SELECT * FROM {P}v
SELECT title, bm25({P}f), snippet({P}f, 1, '<', '>', '', 4) FROM {P}f WHERE {P}f MATCH 'hello' ORDER BY rank
SELECT id FROM {P}r WHERE a >= 1 AND b <= 2
WITH users AS (SELECT n FROM {P}a) SELECT * FROM users
WITH users (n) AS (VALUES (1), (2)) SELECT count(*) FROM users
WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10) SELECT sum(x) FROM c
WITH gone AS (SELECT id FROM {P}a WHERE n = 'z') DELETE FROM {P}a WHERE id IN (SELECT id FROM gone)
SELECT n, row_number() OVER w, lag(j) OVER w, ntile(2) OVER w FROM {P}a WINDOW w AS (PARTITION BY j ORDER BY n)
SELECT key, value FROM json_each('[1, 2, 3]')
SELECT fullkey FROM json_tree('{{"a": [1]}}')
SELECT json_group_array(n), json_object('n', max(n)) FROM {P}a
SELECT * FROM (SELECT n FROM {P}a) AS sub JOIN (SELECT 1 AS one)
SELECT n FROM {P}a WHERE EXISTS (SELECT 1 FROM {P}b WHERE {P}b.a = {P}a.id)
SELECT a.n FROM main.{P}a AS a UNION SELECT t FROM {P}b EXCEPT SELECT 'q' ORDER BY 1 LIMIT 5
SELECT name, sql FROM sqlite_master
SELECT * FROM sqlite_schema
SELECT * FROM sqlite_sequence
SELECT date('now', '-1 day'), strftime('%s', 'now'), hex(randomblob(4)), printf('%05d', 3), typeof(x'00')
INSERT INTO {P}d VALUES (x'ff00', x'c3')
SELECT x'ff', 'y' UNION SELECT x'fe', 'z'
SELECT abs(-1), coalesce(NULL, 1), instr('ab', 'b'), replace('a', 'a', 'b'), 'a' LIKE 'A', 'a' GLOB '*'
UPDATE {P}a SET j = (SELECT max(j) FROM {P}a) + 1 WHERE n LIKE 'x%'
UPDATE {P}a SET j = s.m FROM (SELECT max(j) AS m FROM {P}b, {P}a) AS s
DELETE FROM {P}b WHERE t IS NULL
ALTER TABLE {P}a ADD COLUMN extra TEXT DEFAULT 'e'
ALTER TABLE {P}a RENAME COLUMN extra TO more
ALTER TABLE {P}a DROP COLUMN more
ALTER TABLE {P}d RENAME TO {P}e
PRAGMA user_version
PRAGMA user_version = 7
PRAGMA table_info({P}a)
PRAGMA main.table_xinfo({P}a)
PRAGMA index_list({P}a)
PRAGMA index_info({P}i)
PRAGMA index_xinfo({P}i)
PRAGMA foreign_key_list({P}b)
PRAGMA foreign_key_check
SELECT * FROM pragma_table_info('{P}a')
EXPLAIN SELECT * FROM {P}a
EXPLAIN QUERY PLAN SELECT * FROM {P}a WHERE n = 'x'
BEGIN IMMEDIATE
SAVEPOINT one
ROLLBACK TO one
RELEASE one
COMMIT
REINDEX {P}i
REINDEX
VALUES (1), (2)
/* a comment */ SELECT 1 -- and one more
DROP TRIGGER {P}t
DROP VIEW {P}v
DROP INDEX {P}i
DROP TABLE {P}f
DROP TABLE {P}r
DROP TABLE {P}b
"""

HOSTILE = f"""
CREATE TABLE users (x)
CREATE TABLE ext_other_x (x)
CREATE TABLE ext_my_ex (x)
CREATE TABLE "ext_my_ext" (x)
CREATE TABLE ext_my_extra (x)
CREATE TABLE " {P}x" (x)
CREATE TABLE sqlite_mine (x)
CREATE TABLE sqlite_sequence (name, seq)
CREATE TABLE users AS SELECT 1
CREATE TABLE temp.{P}x (x)
CREATE TEMP TABLE {P}x (x)
CREATE TEMPORARY VIEW {P}x AS SELECT 1
CREATE TEMP TRIGGER {P}x AFTER INSERT ON {P}a BEGIN SELECT 1; END
CREATE INDEX mine ON {P}a (n)
CREATE VIEW users AS SELECT 1
CREATE TRIGGER mine AFTER INSERT ON {P}a BEGIN SELECT 1; END
CREATE TRIGGER {P}x AFTER INSERT ON sqlite_master BEGIN SELECT 1; END
CREATE VIRTUAL TABLE users USING fts5(x)
CREATE VIRTUAL TABLE users USING rtree(id, a, b)
CREATE VIRTUAL TABLE {P}x USING fts3(x)
CREATE VIRTUAL TABLE {P}x USING fts4(x)
CREATE VIRTUAL TABLE {P}x USING dbstat
CREATE VIRTUAL TABLE {P}x USING fts5vocab({P}f, row)
CREATE VIRTUAL TABLE {P}x USING csv(filename='/etc/passwd')
CREATE VIRTUAL TABLE {P}x USING geopoly(a)
CREATE VIRTUAL TABLE {P}x USING sqlite_dbpage
ALTER TABLE {P}a RENAME TO users
ALTER TABLE {P}a RENAME TO "ext_other_a"
ALTER TABLE {P}a RENAME TO sqlite_mine
DROP TABLE sqlite_sequence
DROP TABLE sqlite_master
DELETE FROM sqlite_master
UPDATE sqlite_master SET sql = 'x'
INSERT INTO sqlite_master VALUES ('table', 'users', 'users', 2, 'CREATE TABLE users (x)')
INSERT INTO sqlite_schema SELECT * FROM sqlite_schema
SELECT * FROM users
SELECT * FROM ext_other_x
SELECT * FROM temp.{P}a
SELECT * FROM other.{P}a
SELECT * FROM sqlite_stat1
SELECT * FROM sqlite_dbpage
SELECT * FROM dbstat
SELECT * FROM sqlite_stmt
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM tables_used('SELECT 1')
SELECT * FROM generate_series(1, 3)
SELECT * FROM fts3tokenize
SELECT * FROM pragma_database_list
SELECT * FROM pragma_function_list
SELECT * FROM pragma_module_list
SELECT * FROM pragma_compile_options
SELECT * FROM pragma_journal_mode
SELECT * FROM pragma_table_list
INSERT INTO users VALUES (1)
UPDATE users SET x = 1
DELETE FROM users
REPLACE INTO ext_other_x VALUES (1)
WITH x AS (SELECT 1) INSERT INTO users SELECT * FROM x
ATTACH ':memory:' AS other
ATTACH '/etc/passwd' AS other
ATTACH 'file:/tmp/x?mode=rwc' AS other
ATTACH DATABASE (SELECT '/tmp/x') AS other
DETACH main
DETACH DATABASE temp
VACUUM
VACUUM main
VACUUM INTO '/tmp/spanbridge-never'
ANALYZE
ANALYZE {P}a
ANALYZE sqlite_master
SELECT load_extension('/lib/x.so')
SELECT load_extension('/lib/x.so', 'entry')
SELECT fts3_tokenizer('simple')
SELECT fts3_tokenizer('simple', x'00')
SELECT LOAD_EXTENSION('x')
SELECT sqlite_attach('a', 'b', 'c')
SELECT sqlite_rename_table('main', 'a', 'b', 'c', 'd', 'e', 0)
PRAGMA writable_schema = 1
PRAGMA writable_schema = RESET
PRAGMA journal_mode
PRAGMA journal_mode = DELETE
PRAGMA journal_mode = OFF
PRAGMA main.journal_mode = MEMORY
PRAGMA synchronous = OFF
PRAGMA max_page_count = 1000000
PRAGMA page_size = 512
PRAGMA data_version = 1
PRAGMA foreign_keys = OFF
PRAGMA trusted_schema = ON
PRAGMA database_list
PRAGMA table_list
PRAGMA temp_store_directory = '/tmp'
PRAGMA data_store_directory = '/tmp'
PRAGMA mmap_size = 1000000
PRAGMA locking_mode = EXCLUSIVE
PRAGMA wal_checkpoint
PRAGMA wal_checkpoint(TRUNCATE)
PRAGMA wal_autocheckpoint = 0
PRAGMA cache_size = -1000000
PRAGMA temp_store = MEMORY
PRAGMA secure_delete
PRAGMA schema_version = 3
PRAGMA application_id = 3
PRAGMA integrity_check
PRAGMA quick_check
PRAGMA optimize
PRAGMA incremental_vacuum
PRAGMA auto_vacuum = FULL
PRAGMA encoding
PRAGMA query_only = 1
PRAGMA read_uncommitted = 1
PRAGMA recursive_triggers = 1
PRAGMA defer_foreign_keys = 1
PRAGMA ignore_check_constraints = 1
PRAGMA case_sensitive_like = 1
PRAGMA hard_heap_limit = 1
PRAGMA threads = 8
PRAGMA busy_timeout = 100000
PRAGMA function_list
PRAGMA compile_options
PRAGMA collation_list
PRAGMA key = 'x'
PRAGMA rekey = 'x'
PRAGMA cell_size_check = 0
PRAGMA legacy_alter_table = ON
"""

WATCH = Watch()
SETUP = f"CREATE TABLE {P}a (n); INSERT INTO {P}a VALUES (1); CREATE VIRTUAL TABLE {P}f USING fts5(x)"


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def open_at(path: Path, **given: Any) -> Database:
    limits = {"most_bytes": 1 << 22, "seconds": 5, "busy_seconds": 5, "message_bytes": 1 << 20, **given}
    return Database("my-ext", str(path), WATCH, **limits)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_at(tmp_path / "data.db")
    yield database
    database.close()


def run(database: Database, sql: str) -> Any:
    return database.all(sql, []) if database.prepare(sql).reader else database.run(sql, [])


def names(path: Path) -> set[str]:
    """All that is in the file, but for what SQLite makes itself."""
    with sqlite3.connect(path) as raw:
        return {name for (name,) in raw.execute("SELECT name FROM sqlite_master") if not name.startswith("sqlite_")}


def test_honest_sql(database: Database) -> None:
    for statement in lines(HONEST):
        if "WITHOUT ROWID" in statement:
            statement = statement.replace("(x)", "(x PRIMARY KEY)")
        run(database, statement)


def test_hostile_sql(database: Database, tmp_path: Path) -> None:
    database.exec(SETUP)
    before = names(tmp_path / "data.db")
    allowed = []
    assert len(lines(HOSTILE)) > 100
    for statement in lines(HOSTILE):
        for tried in (statement, f"EXPLAIN {statement}", f"/**/{statement.lower()}"):
            try:
                database.exec(tried)
            except (SqliteError, ValueError):
                pass
            else:
                # A pragma that SQLite does not know does nothing.
                if not statement.startswith(("PRAGMA key", "PRAGMA rekey")):
                    allowed.append(tried)
    # What only explains does nothing, and a pragma that SQLite does not know neither.
    assert [each for each in allowed if not each.startswith(("EXPLAIN VACUUM", "PRAGMA key", "PRAGMA rekey"))] == []
    assert names(tmp_path / "data.db") == before
    assert run(database, f"SELECT n FROM {P}a") == (["n"], [(1,)])
    assert not Path("/tmp/spanbridge-never").exists()


REFUSED_AS = (
    ("ATTACH ':memory:' AS x", "ATTACH"),
    ("DETACH main", "DETACH"),
    ("VACUUM", "VACUUM"),
    ("VACUUM INTO '/tmp/x'", "VACUUM"),
    ("ANALYZE", "ANALYZE"),
    ("PRAGMA journal_mode", "PRAGMA journal_mode"),
    ("SELECT load_extension('x')", "the function load_extension"),
    (f"CREATE TEMP TABLE {P}x (a)", "temporary tables and the like"),
    (f"CREATE TABLE temp.{P}x (a)", "temporary tables and the like"),
    (f"CREATE TEMP TRIGGER {P}x AFTER INSERT ON {P}t BEGIN SELECT 1; END", "temporary tables and the like"),
    (f"CREATE VIRTUAL TABLE {P}x USING dbstat", "a virtual table of dbstat, only of fts5, rtree, rtree_i32"),
    ("CREATE VIRTUAL TABLE x USING fts5(a)", f"the virtual table 'x' of fts5; names begin with {P}"),
    ("CREATE TABLE users (a)", f"the table 'users'; names begin with {P}"),
    ("SELECT * FROM users", f"the table 'users'; names begin with {P}"),
    ("DELETE FROM main.ext_other_data", f"the table 'ext_other_data'; names begin with {P}"),
    (f"CREATE INDEX i ON {P}t (a)", f"the index 'i'; names begin with {P}"),
    ("CREATE VIEW v AS SELECT 1", f"the view 'v'; names begin with {P}"),
    (f"CREATE TRIGGER r AFTER INSERT ON {P}t BEGIN SELECT 1; END", f"the trigger 'r'; names begin with {P}"),
    ("SELECT * FROM pragma_database_list", f"reading the table 'pragma_database_list'; names begin with {P}"),
    (f"ALTER TABLE {P}t RENAME TO users", f"the name 'users'; names begin with {P}"),
)


def test_what_is_refused_is_named(database: Database) -> None:
    database.exec(f"CREATE TABLE {P}t (a)")
    for sql, what in REFUSED_AS:
        with pytest.raises(SqliteError) as raised:
            database.exec(sql)
        assert (str(raised.value), raised.value.code) == (f"not allowed: {what}", "SQLITE_AUTH"), sql
    assert run(database, "SELECT name FROM sqlite_master") == (["name"], [(f"{P}t",)])


def test_codes_are_those_of_sqlite(database: Database) -> None:
    """Those that Python has no name for, too."""
    if sqlite3.sqlite_version_info < (3, 37):
        pytest.skip("this SQLite has no STRICT tables")
    database.exec(f"CREATE TABLE {P}t (a INT NOT NULL) STRICT")
    for value, code in (("'x'", "SQLITE_CONSTRAINT_DATATYPE"), ("NULL", "SQLITE_CONSTRAINT_NOTNULL")):
        with pytest.raises(SqliteError) as raised:
            database.exec(f"INSERT INTO {P}t VALUES ({value})")
        assert raised.value.code == code


def test_a_migration_is_all_or_nothing(database: Database) -> None:
    for last, error in (("COMMIT", ValueError), ("ROLLBACK; SELECT 1", ValueError), ("nonsense", SqliteError)):
        with pytest.raises(error):
            database.migrate([f"CREATE TABLE {P}m (a)", last])
        assert run(database, "SELECT name FROM sqlite_master") == (["name"], [])
    steps = [f"CREATE TABLE {P}m (a)", f"SAVEPOINT x; DROP TABLE {P}m; ROLLBACK TO x; RELEASE x"]
    assert database.migrate(steps) == 2
    assert run(database, "SELECT name FROM sqlite_master") == (["name"], [(f"{P}m",)])


def test_a_refused_rename_leaves_the_transaction(database: Database) -> None:
    database.exec(f"CREATE TABLE {P}x (a); BEGIN; INSERT INTO {P}x VALUES (1)")
    with pytest.raises(SqliteError, match="not allowed"):
        database.exec(f"ALTER TABLE {P}x RENAME TO users")
    assert database.in_transaction
    database.exec("COMMIT")
    assert run(database, f"SELECT a FROM {P}x") == (["a"], [(1,)])


NAMES = st.sampled_from(
    [f"{P}a", f"{P}b", "EXT_MY_EXT_a", f'"{P}a"', "users", "ext_other_a", "sqlite_master", "temp.x", "main.users",
     "ext_my_extra", "sqlite_sequence", f"main.{P}b", "json_each", "dbstat", "[users]", "'users'", f"temp.{P}a"]
)  # fmt: skip
SHAPES = st.sampled_from(
    [
        "CREATE TABLE {0} (x)",
        "CREATE TABLE {0} AS SELECT * FROM {1}",
        "CREATE INDEX {0} ON {1} (x)",
        "CREATE VIEW {0} AS SELECT * FROM {1}",
        "CREATE TRIGGER {0} AFTER INSERT ON {1} BEGIN DELETE FROM {2}; END",
        "CREATE VIRTUAL TABLE {0} USING fts5(x)",
        "CREATE VIRTUAL TABLE {0} USING rtree(a, b, c)",
        "ALTER TABLE {0} RENAME TO {1}",
        "ALTER TABLE {0} RENAME COLUMN x TO y",
        "ALTER TABLE {0} ADD COLUMN z",
        "INSERT INTO {0} SELECT * FROM {1}",
        "INSERT INTO {0} VALUES (1)",
        "WITH {0} AS (SELECT 1 AS x) SELECT * FROM {0}, {1}",
        "DELETE FROM {0}",
        "UPDATE {0} SET x = (SELECT count(*) FROM {1})",
        "SELECT * FROM {0}",
        "DROP TABLE {0}",
        "DROP VIEW {0}",
        "DROP INDEX {0}",
        "ATTACH {0} AS {1}",
        "PRAGMA {0} = {1}",
        "VACUUM INTO {0}",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "RELEASE a",
    ]
)
STATEMENTS = st.builds(lambda shape, *given: shape.format(*given), SHAPES, NAMES, NAMES, NAMES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(statements=st.lists(STATEMENTS, min_size=1, max_size=12))
def test_nothing_but_own_names_ever(statements: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "data.db"
    database = open_at(path)
    for statement in statements:
        with contextlib.suppress(SqliteError, ValueError):
            database.exec(statement)
    database.undo(False)
    database.close()
    assert [name for name in names(path) if not name.lower().startswith(P)] == []
    assert [each.name for each in path.parent.iterdir() if not each.name.startswith("data.db")] == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["SELECT ';'", "SELECT 1 -- ;\n", '"a;b"', "/* ; */ x", "[;]", "`;`", "  ", "BEGIN"])))
def test_statements_are_cut_as_sqlite_cuts_them(pieces: list[str]) -> None:
    wanted = [piece.strip() for piece in pieces if piece.strip()]
    assert [piece.strip() for piece in split(";".join(pieces))] == wanted


def test_triggers_go_to_their_end() -> None:
    trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; DELETE FROM b; END"
    assert list(split(f"{trigger}; SELECT 1; ;")) == [trigger, " SELECT 1"]


@pytest.mark.parametrize("sign", ["[", "'", '"', "`", "/*", "--"])
def test_what_is_quoted_without_an_end_is_looked_through_once(sign: str) -> None:
    """Were each sign tried as another beginning, a megabyte of them would take minutes."""
    sql = f"SELECT {sign * 1_000_001}"
    assert "".join(split(sql)).startswith("SELECT ")


def test_parameters(database: Database) -> None:
    database.exec(f"CREATE TABLE {P}p (a, b)")
    insert = f"INSERT INTO {P}p VALUES (?, ?)"
    values = [(1 << 62, -1.5), ("\u20ac\U0001f600", b"\0\xff"), (None, 0)]
    for row in values:
        assert database.run(insert, list(row)) == (1, values.index(row) + 1)
    assert database.all(f"SELECT * FROM {P}p", []) == (["a", "b"], values)
    for sign in ("@", ":", "$"):
        assert database.get(f"SELECT {sign}x AS x, {sign}y AS y", {"x": 1, f"{sign}y": 2}) == (["x", "y"], (1, 2))
    for wrong in ([], [1], [1, 2, 3]):
        with pytest.raises(ValueError, match="parameters"):
            database.run(insert, wrong)
    with pytest.raises(ValueError, match="value for binding"):
        database.get("SELECT :a", {"b": 1})
    with pytest.raises(ValueError, match="Python int too large"):
        database.get("SELECT ?", [1 << 63])
    with pytest.raises(ValueError, match="gives no rows"):
        database.all(insert, [1, 2])
    with pytest.raises(ValueError, match="gives rows"):
        database.run("SELECT 1", [])
    with pytest.raises(ValueError, match="more than one statement"):
        database.prepare("SELECT 1; SELECT 2")
    assert database.run(f"UPDATE {P}p SET a = 1", []) == (3, 3)
    assert database.run(f"WITH x AS (SELECT 1) DELETE FROM {P}p WHERE a IN x", [])[0] == 3


def test_bounds(tmp_path: Path) -> None:
    database = open_at(tmp_path / "data.db", most_bytes=1 << 18, seconds=0.2, message_bytes=100_000)
    endless = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    with pytest.raises(SqliteError, match="extension_query_seconds") as raised:
        database.get(endless, [])
    assert raised.value.code == "SQLITE_INTERRUPT"
    with pytest.raises(SqliteError, match="extension_query_seconds"):  # few steps, each of which takes long
        database.get("WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000) "
                     "SELECT sum(length(hex(randomblob(7000000)))) FROM c", [])  # fmt: skip
    database.exec(f"CREATE TABLE {P}x (a)")
    fill = f"""
        INSERT INTO {P}x SELECT zeroblob(10000) FROM
        (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000) SELECT n FROM c)
    """
    with pytest.raises(SqliteError, match=r"it may have 262144 bytes \(extension_database_bytes\)") as raised:
        database.run(fill, [])
    assert raised.value.code == "SQLITE_FULL"
    for _ in range(20):
        database.run(f"INSERT INTO {P}x VALUES (?)", [b"x" * 10_000])
    with pytest.raises(ValueError, match="extension_message_bytes"):
        database.all(f"SELECT a FROM {P}x", [])
    with pytest.raises(ValueError, match="row has too many bytes, expected at most 100000"):
        database.get("SELECT zeroblob(60000), zeroblob(60000)", [])
    assert database.get(f"SELECT count(*) FROM {P}x", [])[1] == (20,)
    assert database.run(f"DELETE FROM {P}x", [])[0] == 20
    with pytest.raises(SqliteError):
        database.get("SELECT length(zeroblob(20000000))", [])
    database.close()
    assert (tmp_path / "data.db").stat().st_mode & 0o777 == 0o600


def test_no_file_for_sorting_gets_too_large(database: Database) -> None:
    """The host has such a limit on all its files: SQLite has none on those that it makes for a statement."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(SqliteError, match="for sorting") as raised:
            database.get("WITH RECURSIVE c (x) AS (SELECT zeroblob(99999) UNION ALL SELECT x FROM c LIMIT 200) "
                         "SELECT x FROM c ORDER BY random()", [])  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.code == "SQLITE_IOERR_WRITE"


def test_migrations(tmp_path: Path) -> None:
    database = open_at(tmp_path / "data.db")
    steps = [f"CREATE TABLE {P}a (x); INSERT INTO {P}a VALUES (1)", f"ALTER TABLE {P}a ADD COLUMN y"]
    assert database.migrate(steps[:1]) == 1
    assert database.migrate(steps) == 2
    assert database.migrate(steps) == 2
    with pytest.raises(SqliteError, match="no such table"):
        database.migrate([*steps, f"DELETE FROM {P}a", f"DELETE FROM {P}absent"])
    with pytest.raises(ValueError, match="end a transaction"):
        database.migrate([*steps, "COMMIT"])
    assert database.get(f"SELECT x, y FROM {P}a", []) == (["x", "y"], (1, None))
    for number in range(4):
        steps.append(f"UPDATE {P}a SET x = {number}")
        database.migrate(steps)
    copies = sorted(tmp_path.glob("data.db.before-*"), key=lambda path: int(path.suffix[1:]))
    assert len(copies) == 3
    with sqlite3.connect(copies[-1]) as raw:
        assert raw.execute(f"SELECT x FROM {P}a").fetchone() == (2,)
    database.close()


def test_a_copy_that_the_user_has_put_beside_those_before_migrations_stays(database: Database, tmp_path: Path) -> None:
    other = tmp_path / "data.db.before-1.good-one"
    other.write_bytes(b"")
    steps = [f"CREATE TABLE {P}m{number} (n)" for number in range(6)]
    for number in range(1, 7):
        assert database.migrate(steps[:number]) == number
    assert other.exists()
    assert len([*tmp_path.glob("data.db.before-*")]) == 4
