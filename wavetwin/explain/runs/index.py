"""Keep the index: one SQLite file, brought up to date with the folders before it is asked.

Several processes may use it at once. Each holds a shared lock on `index.lock` while the file is
open; only who holds it alone may throw a damaged file away. Writing is SQLite's own business: WAL,
one writer at a time, the others wait.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from wavetwin.explain.runs.documents import UnreadableRunError
from wavetwin.explain.runs.folders import RunInfo, read_folder, scan, stamp_of
from wavetwin.explain.runs.scores import Score
from wavetwin.files.json_text import parse_json
from wavetwin.files.lock import lock_file

__all__ = ["FILE", "RunIndex", "open_index"]

FILE, LOCK = "index.sqlite", "index.lock"
VERSION = 3
"""Of the tables and of what is in them; an index of another version is made anew."""
BUSY_SECONDS = 60.0

_TABLES = """
CREATE TABLE runs (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, name TEXT NOT NULL, run TEXT NOT NULL,
    status TEXT NOT NULL, seed INTEGER, digest TEXT NOT NULL, training_digest TEXT NOT NULL,
    model_digest TEXT NOT NULL, git_commit TEXT, marks TEXT NOT NULL, limit_batches INTEGER, parameters INTEGER,
    macs INTEGER, epochs INTEGER NOT NULL, training_seconds REAL, started TEXT, ended TEXT,
    warnings TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tags (
    path TEXT REFERENCES runs ON DELETE CASCADE, position INTEGER, tag TEXT NOT NULL,
    PRIMARY KEY (path, position)
) WITHOUT ROWID;
CREATE TABLE fields (
    path TEXT REFERENCES runs ON DELETE CASCADE, field TEXT, value TEXT NOT NULL,
    PRIMARY KEY (path, field)
) WITHOUT ROWID;
CREATE TABLE scores (
    path TEXT REFERENCES runs ON DELETE CASCADE, position INTEGER, name TEXT NOT NULL,
    value REAL, low REAL, high REAL, PRIMARY KEY (path, position)
) WITHOUT ROWID;
"""
_COLUMNS = (
    "path", "name", "run", "status", "seed", "digest", "training_digest", "model_digest",
    "git_commit", "marks", "limit_batches", "parameters", "macs", "epochs", "training_seconds", "started", "ended",
    "warnings",
)  # fmt: skip


class RunIndex:
    """An open index."""

    def __init__(self, connection: sqlite3.Connection, runs: Path) -> None:
        self._connection, self._runs = connection, runs

    def update(self, *, anew: bool = False) -> list[str]:
        """Take in changed folders, drop vanished ones; return what could not be read, a line each.

        `anew` forgets all that is known, in the same transaction: nobody sees an empty index.
        """
        known = dict(self._connection.execute("SELECT path, stamp FROM runs"))
        messages: list[str] = []
        changed: list[tuple[str, RunInfo]] = []
        gone: list[str] = []
        seen: set[str] = set()
        # Reading takes the time, and happens before anything is locked.
        for path, folder in scan(self._runs):
            seen.add(path)
            stamp = stamp_of(folder)
            if known.get(path) == stamp and not anew:
                continue
            try:
                changed.append((stamp, read_folder(path, folder)))
            except UnreadableRunError as reason:
                messages.append(f"{folder}: not in the index: {reason}\n")
                gone.append(path)
        # A folder that appeared after the scan may have been taken in by another process.
        gone += [
            path
            for path in known
            if path not in seen and not (self._runs / path / "manifest.json").is_file()
        ]
        if anew or changed or any(path in known for path in gone):
            with self._transaction("IMMEDIATE"):
                if anew:
                    self._connection.execute("DELETE FROM runs")
                for path in gone:
                    self._connection.execute("DELETE FROM runs WHERE path = ?", (path,))
                for stamp, info in changed:
                    self._replace(stamp, info)
        for path, text in self._connection.execute(
            "SELECT path, warnings FROM runs WHERE warnings != '[]' ORDER BY path"
        ):
            messages += [f"{self._runs / path}: {warning}\n" for warning in parse_json(text)]
        return messages

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is asked meanwhile be of one moment, whatever other processes write."""
        with self._transaction("DEFERRED"):
            yield

    def paths(self, condition: str = "1", values: tuple[object, ...] = ()) -> list[str]:
        """Return `<name>/<run>` of the runs that fit an SQL condition on table runs, in order."""
        query = f"SELECT path FROM runs WHERE {condition} ORDER BY path"
        return [path for (path,) in self._connection.execute(query, values)]

    def field_names(self) -> list[str]:
        """Return every spec field of any run, in order."""
        return [name for (name,) in self._connection.execute("SELECT DISTINCT field FROM fields")]

    def score_names(self) -> list[str]:
        """Return every score's name of any run, in order."""
        query = "SELECT DISTINCT name FROM scores ORDER BY name"
        return [name for (name,) in self._connection.execute(query)]

    def field(self, path: str, field: str) -> tuple[bool, Any]:
        """Return whether a run's spec has a field, and its value."""
        query = "SELECT value FROM fields WHERE path = ? AND field = ?"
        row = self._connection.execute(query, (path, field)).fetchone()
        return (False, None) if row is None else (True, parse_json(row[0]))

    def scores(self, path: str) -> tuple[Score, ...]:
        """Return a run's scores, of the test images first."""
        query = "SELECT name, value, low, high FROM scores WHERE path = ? ORDER BY position"
        return tuple(Score(*row) for row in self._connection.execute(query, (path,)))

    def info(self, path: str) -> RunInfo:
        """Return all that is known of a run.

        Raises:
            KeyError: there is none of this path.
        """
        query = f"SELECT {', '.join(_COLUMNS)} FROM runs WHERE path = ?"
        row = self._connection.execute(query, (path,)).fetchone()
        if row is None:
            raise KeyError(path)
        values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
        values["commit"] = values.pop("git_commit")
        for name in ("marks", "warnings"):
            values[name] = tuple(parse_json(values[name]))
        tags = self._connection.execute("SELECT tag FROM tags WHERE path = ?", (path,))
        fields = self._connection.execute("SELECT field, value FROM fields WHERE path = ?", (path,))
        return RunInfo(
            **values,
            tags=tuple(tag for (tag,) in tags),
            fields={field: parse_json(value) for field, value in fields},
            scores=self.scores(path),
        )

    def _replace(self, stamp: str, info: RunInfo) -> None:
        execute, many = self._connection.execute, self._connection.executemany
        path = info.path
        execute("DELETE FROM runs WHERE path = ?", (path,))
        values: dict[str, Any] = {name: getattr(info, name, None) for name in _COLUMNS}
        values |= {
            "git_commit": info.commit,
            "marks": json.dumps(info.marks),
            "warnings": json.dumps(info.warnings),
            "stamp": stamp,
        }
        positions = ", ".join(f":{name}" for name in values)
        execute(f"INSERT INTO runs ({', '.join(values)}) VALUES ({positions})", values)
        tags = [(path, position, tag) for position, tag in enumerate(info.tags)]
        many("INSERT INTO tags VALUES (?, ?, ?)", tags)
        fields = [(path, name, json.dumps(value)) for name, value in info.fields.items()]
        many("INSERT INTO fields VALUES (?, ?, ?)", fields)
        scores = [
            (path, position, score.name, score.value, score.low, score.high)
            for position, score in enumerate(info.scores)
        ]
        many("INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?)", scores)

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


@contextmanager
def open_index(runs: Path, *, anew: bool = False) -> Iterator[tuple[RunIndex, list[str]]]:
    """Open the index of a folder of runs, made where there is none, and bring it up to date.

    Yields the index as it is at one moment, and messages for the user: runs that cannot be read, an
    index that was damaged and made anew. In a folder that may not be written to, or has no locks, the index
    is made in memory, and reported that. `anew` reads every folder again.
    """
    messages: list[str] = []
    if reason := _why_in_memory(runs):
        messages.append(f"{runs}: {reason}, so the index is in memory only\n")
        with closing(_connect(":memory:")) as connection:
            connection.executescript(_TABLES)
            index = RunIndex(connection, runs)
            messages += index.update()
            with index.snapshot():
                yield index, messages
        return
    while True:
        with _locked(runs, fcntl.LOCK_SH):
            connection = _connect_whole(runs / FILE)
            if connection is not None:
                with closing(connection):
                    index = RunIndex(connection, runs)
                    messages += index.update(anew=anew)
                    with index.snapshot():
                        yield index, messages
                return
        with _locked(runs, fcntl.LOCK_EX):
            _make_anew(runs / FILE, messages)


def _why_in_memory(runs: Path) -> str:
    """Return why no index can be kept in a folder; empty where one can."""
    if not os.access(runs, os.W_OK | os.X_OK):
        return "may not be written to"
    try:
        with _locked(runs, fcntl.LOCK_SH):
            return ""
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise
        return "its file system has no locks"


@contextmanager
def _locked(runs: Path, kind: int) -> Iterator[None]:
    lock = os.open(runs / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        lock_file(lock, kind, runs / LOCK)
        yield
    finally:
        os.close(lock)


def _connect(file: Path | str) -> sqlite3.Connection:
    # Transactions are begun by hand: the module would begin them without IMMEDIATE.
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _connect_whole(file: Path) -> sqlite3.Connection | None:
    """Return a connection to a sound index of this version; None where there is none."""
    if not file.is_file():
        return None
    connection = _connect(file)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if _is_damage(error):
            return None
        raise
    if (version, answer) == (VERSION, "ok"):
        return connection
    connection.close()
    return None


def _make_anew(file: Path, messages: list[str]) -> None:
    """Make an empty index in place of none or a damaged one; nobody else has it open."""
    sound = _connect_whole(file)
    if sound is not None:
        sound.close()  # another process was quicker
        return
    if file.exists():
        messages.append(f"{file}: damaged or of another version; made anew from the run folders\n")
    for name in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
        name.unlink(missing_ok=True)
    with closing(_connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
