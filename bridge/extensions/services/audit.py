"""The audit log: entries chained by hashes, in a file that anybody can check with sqlite3 and sha256.

Each entry holds the hash of the one before it. That does not show an end that was cut off, nor a chain that was
written anew as a whole; so its head is told to the log from time to time, where it can be compared.
"""

import concurrent.futures
import hashlib
import json
import os
import sqlite3
import syslog
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final
from urllib.parse import quote

import msgspec

from ..host_log import HostLog
from .keeper import Keeper, naming
from .moment import iso

START: Final = "0" * 64
ENTRY_BYTES: Final = 64 << 10
_TEXT_CHARS: Final = 200
_ID_CHARS: Final = 1_000
_LONGEST_BYTES: Final = 2 * ENTRY_BYTES  # with its number, and the hash of the one before
_HEAD_EVERY: Final = 64
_MOST: Final = 10_000
_SEQ_MOST: Final = (1 << 63) - 1
_TOLD_BYTES: Final = 8 << 20
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS entries (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash TEXT NOT NULL);"
)
# As bytes: of one text that is no UTF-8 nothing of the whole would be told.
_READ: Final = "SELECT seq, typeof(entry), CAST(entry AS BLOB), CAST(hash AS BLOB) FROM entries"


class Full(RuntimeError):
    """The file is as large as it may be."""


class Audit:
    """The file `audit.db` in `directory`."""

    def __init__(self, directory: str, most_bytes: int, log: HostLog, seconds: float) -> None:
        """`most_bytes` of the file; what the user does is noted beyond that, too. `seconds`: as for Keeper.

        Raises DatabaseFailed, OSError.
        """
        self._most_bytes = most_bytes
        self._full_told = False
        self.path = os.path.join(directory, "audit.db")
        self._log = log
        self._keeper = Keeper(self.path, _SCHEMA, seconds)
        self._seq, self._head = self._keeper.do(_last).result()
        self._told = self._seq
        self._appended: dict[int, str] = {}
        """Hashes of entries that are not on disk yet, or never will be: their numbers are then given anew."""

    def write(
        self,
        extension: str,
        actor: dict[str, Any],
        action: str,
        kind: str,
        ident: str,
        details: Any,
        *,
        ours: bool = False,
    ) -> "concurrent.futures.Future[int]":
        """The number of the entry, once it is on disk; or Full. Raises ValueError.

        `ours`: no extension has asked for it, but the user, or the host itself.
        """
        for name, text, most in (
            ("action", action, _TEXT_CHARS),
            ("kind", kind, _TEXT_CHARS),
            ("id", ident, _ID_CHARS),
        ):
            if len(text) > most:
                raise ValueError(f"audit_log: {name}: {len(text)} characters, expected at most {most}")
        entry = {
            "time": iso(),
            "extension": extension,
            "actor": actor,
            "action": action,
            "kind": kind,
            "id": ident,
            "details": details,
        }
        try:
            size = len(canonical(entry).encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"audit_log: details: {error}") from None
        if size > ENTRY_BYTES:
            raise ValueError(f"audit_log: an entry of {size} bytes, expected at most {ENTRY_BYTES}")
        written = self._keeper.do(lambda db: self._append(db, entry, ours))
        written.add_done_callback(lambda future: self._written(future, entry if ours else None))
        return written

    def _append(self, db: sqlite3.Connection, entry: dict[str, Any], ours: bool) -> int:
        if not ours:
            self._check_room(db)
        # Asked each time: a commit that failed must not leave a hole.
        seq, head = _last(db)
        if seq == _SEQ_MOST:
            raise Full(f"audit_log: {self.path}: there is no number behind that of its last entry, {seq}")
        text = canonical({**entry, "seq": seq + 1, "prev": head})
        digest = hash_of(text)
        db.execute("INSERT INTO entries VALUES (?, ?, ?)", (seq + 1, text, digest))
        self._appended[seq + 1] = digest
        return seq + 1

    def _written(self, written: "concurrent.futures.Future[int]", ours: dict[str, Any] | None) -> None:
        """A head that was told, and is not on disk after all, would look as if somebody had changed the log.

        `ours`: an entry for which nobody may wait.
        """
        if (error := written.exception()) is not None:
            if ours is not None:
                told = {name: ours[name] for name in ("extension", "action")}
                self._log.error("not-audited", actor=ours["actor"]["name"], what=str(error), **told)
            return
        seq = written.result()
        digest = self._appended.pop(seq)
        if seq > self._seq:
            self._seq, self._head = seq, digest
        if seq % _HEAD_EVERY == 0:
            self._tell_head()

    def _check_room(self, db: sqlite3.Connection) -> None:
        """Raises Full."""
        (pages,), (size,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
        if pages * size <= self._most_bytes:
            return
        if not self._full_told:
            self._full_told = True
            self._log.limit("extension_audit_bytes", self._most_bytes)
        raise Full(f"audit_log: the log has over {self._most_bytes} bytes (extension_audit_bytes)")

    def entries(
        self, extension: str | None, after: int, limit: int
    ) -> "concurrent.futures.Future[list[dict[str, Any]]]":
        """Those behind the number `after`, at most `limit`, and some 8 MiB; of one extension, or of all.

        What is none has `broken`. Raises ValueError.
        """
        if not 0 <= limit <= _MOST or not 0 <= after < 1 << 63:
            raise ValueError(f"expected after of 0 or more, and a limit of at most {_MOST}")

        def read(db: sqlite3.Connection) -> list[dict[str, Any]]:
            sql = f"{_READ} WHERE seq > ?"
            given: list[Any] = [after]
            if extension is not None:
                sql += " AND iif(json_valid(entry), json_extract(entry, '$.extension'), NULL) = ?"
                given.append(extension)
            found: list[dict[str, Any]] = []
            size = 0
            for row in db.execute(f"{sql} ORDER BY seq LIMIT ?", [*given, limit]):
                size += len(row[2])
                if found and size > _TOLD_BYTES:
                    break
                found.append(_told(row))
            return found

        return self._keeper.do(read)

    def close(self) -> None:
        if self._seq != self._told:
            self._tell_head()
        self._keeper.close()

    def _tell_head(self) -> None:
        self._told = self._seq
        self._log.info("audit-head", seq=self._seq, hash=self._head)
        syslog.syslog(syslog.LOG_INFO, f"spanbridge extensions: audit-head seq={self._seq} hash={self._head}")


def canonical(entry: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _last(db: sqlite3.Connection) -> tuple[int, str]:
    row = db.execute("SELECT seq, CAST(hash AS BLOB) FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    return (int(row[0]), any_text(row[1])) if row else (0, START)


def verify(path: str, seq: int | None = None, digest: str | None = None) -> dict[str, Any]:
    """Whether the chain is whole, and has `digest` as the hash of the entry `seq` if these are given.

    `first_bad` is the number of the first entry that does not fit. Raises DatabaseFailed.
    """
    with reading(path) as db:
        db.text_factory = any_text
        head, count = START, 0
        found = seq is None or (seq == 0 and digest == START)
        for number, text, told in db.execute("SELECT seq, entry, hash FROM entries ORDER BY seq"):
            entry = _parsed(text)
            fits = entry.get("seq") == number == count + 1 and entry.get("prev") == head and told == hash_of(text)
            if number == seq:
                found = digest is None or told == digest
                fits = fits and found
            if not fits:
                return {"ok": False, "count": count, "head": head, "first_bad": number}
            head, count = told, number
    if not found:
        return {"ok": False, "count": count, "head": head, "first_bad": count + 1}
    return {"ok": True, "count": count, "head": head, "first_bad": None}


def read_only(path: str) -> str:
    """The URI with which sqlite3 opens a file to read it."""
    return f"file:{quote(os.fsencode(path))}?mode=ro"


@contextmanager
def reading(path: str) -> Iterator[sqlite3.Connection]:
    """The file, only to be read. Raises DatabaseFailed."""
    with naming(path), closing(sqlite3.connect(read_only(path), uri=True)) as db:
        yield db


def entries_in(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """All entries of the file with their numbers; what is none has `broken`. Raises DatabaseFailed."""
    with reading(path) as db:
        for row in db.execute(f"{_READ} ORDER BY seq"):
            yield row[0], _told(row)


def _told(row: tuple[int, str, bytes, bytes]) -> dict[str, Any]:
    """An entry with its hash. What is none has its number, what stands there, and in `broken` what is wrong with that:
    somebody may have written anything."""
    seq, kind, data, digest = row
    entry: dict[str, Any] = {"seq": seq, "entry": any_text(data[:ENTRY_BYTES])}
    if kind != "text":
        entry["broken"] = f"found {kind}, expected text"
    elif len(data) > _LONGEST_BYTES:
        entry["broken"] = f"found {len(data)} bytes, expected at most {ENTRY_BYTES}"
    else:
        try:
            entry = msgspec.json.decode(data, type=dict[str, Any])
        except UnicodeDecodeError:
            entry["broken"] = "not UTF-8"
        except (msgspec.MsgspecError, RecursionError) as error:
            entry["broken"] = f"no JSON object: {error}"
    return {**entry, "hash": any_text(digest)}


def any_text(data: bytes) -> str:
    """Also of what is no text; it is no JSON then."""
    return data.decode(errors="backslashreplace")


def _parsed(text: str | bytes) -> dict[str, Any]:
    """Nothing, if it is no entry."""
    try:
        entry = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
