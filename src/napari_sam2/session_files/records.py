"""A file of records, of which those that changed are written, all of them or none.

The file is an SQLite database, whose code comes with Python. What speaks for it, beside zarr:
a save that is cut short, by a full disk or the power, leaves what was there before; a change
costs what it changes, not the whole; it is one file, to be dragged, mailed and copied, where
zarr is a folder of many; and who has it open is known to others, also once they were killed. A
record is read by itself, so that nothing has to fit into memory.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Marks the database as ours, among all that SQLite is used for: "S2M2".
APPLICATION = 0x53324D32
FORMAT = 1  #: of what is written; later ones are not read
WAIT = 5.0  #: seconds, for another program to finish writing

_TABLE = """
CREATE TABLE records (
    kind TEXT, key TEXT, digest BLOB, data BLOB, PRIMARY KEY (kind, key)
) WITHOUT ROWID"""

Name = tuple[str, str]  #: kind and key of a record


class SessionFileError(ValueError):
    """A session file cannot be read or written; the message says why, and what to do."""


class BusyFileError(SessionFileError):
    """Another program, or another dock, has the session file open."""


class RecordFile:
    """Records by kind and key, each with a digest of its content.

    Content is compressed, and checked against the digest when it is read.

    Parameters
    ----------
    path : Path
    connection : sqlite3.Connection
        See `create` and `open`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, *, alone: bool = False) -> RecordFile:
        """Begin a file; there must be none.

        Parameters
        ----------
        path : Path
        alone : bool
            Whether no one else may open it until it is closed.
        """
        if not path.parent.is_dir():
            raise SessionFileError(f"There is no folder {path.parent} to write {path.name} into.")
        if path.exists():
            raise SessionFileError(f"There is a file {path} already.")
        with _explained(path):
            connection = _connect(path, "rwc", alone=alone)
            with _closed_on_error(connection):
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                connection.execute(_TABLE)
                connection.execute("COMMIT")
        return cls(path, connection)

    @classmethod
    def open(cls, path: Path, *, write: bool = False, alone: bool = False) -> RecordFile:
        """Open a file.

        Parameters
        ----------
        path : Path
        write : bool
            Whether it is to be written to.
        alone : bool
            Whether no one else may open it until it is closed; it is written to then.

        Raises
        ------
        SessionFileError
            If there is no such file, if it is something else or damaged, or if a newer
            version wrote it.
        BusyFileError
            If another has it to itself.
        """
        if not path.is_file():
            raise SessionFileError(f"There is no session file {path}.")
        # A save that was cut short is undone by whoever may write.
        interrupted = path.with_name(f"{path.name}-journal").exists()
        with _explained(path):
            connection = _connect(path, "rw" if write or alone or interrupted else "ro", alone)
            with _closed_on_error(connection):
                if alone:
                    connection.execute("BEGIN EXCLUSIVE")
                    connection.execute("COMMIT")
                _check(path, connection)
        return cls(path, connection)

    def digests(self) -> dict[Name, bytes]:
        """Give the digest of every record."""
        with _explained(self.path):
            rows = self._connection.execute("SELECT kind, key, digest FROM records")
            return {(kind, key): digest for kind, key, digest in rows}

    def read(self, kind: str, key: str) -> bytes | None:
        """Give the content of a record; None where there is no such."""
        return next((content for _, content in self._select(kind, key)), None)

    def read_all(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """Give key and content of every record of a kind, one at a time."""
        return self._select(kind)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all that is put and dropped inside, or, where that fails, nothing."""
        with _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has done so itself where the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def put(self, name: Name, content: bytes, digest: bytes) -> None:
        """Write a record, in the place of an earlier one."""
        row = (*name, digest, zlib.compress(content, 1))
        self._connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", row)

    def drop(self, name: Name) -> None:
        """Take a record out."""
        self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", name)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _select(self, kind: str, key: str | None = None) -> Iterator[tuple[str, bytes]]:
        query, values = "SELECT key, digest, data FROM records WHERE kind = ?", [kind]
        if key is not None:
            query, values = f"{query} AND key = ?", [kind, key]
        with _explained(self.path), closing(self._connection.execute(query, values)) as rows:
            for name, digest, data in rows:
                content = zlib.decompress(data)
                if digest_of(content) != digest:
                    raise sqlite3.DatabaseError(f"{kind} {name} is not what was written")
                yield name, content


def digest_of(content: bytes | memoryview) -> bytes:
    """Give 16 bytes that are others for other content."""
    return blake2b(content, digest_size=16).digest()


def _connect(path: Path, mode: str, alone: bool = False) -> sqlite3.Connection:
    posix = path.absolute().as_posix()
    place = quote(posix if posix.startswith("/") else f"/{posix}")
    # Threads take turns; none is bound to the one that opened it.
    connection = sqlite3.connect(
        f"file://{place}?mode={mode}",
        uri=True,
        timeout=0 if alone else WAIT,
        isolation_level=None,
        check_same_thread=False,
    )
    if alone:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse what is not a session file, or not one that is understood."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise SessionFileError(_foreign(path))
    if version > FORMAT:
        raise SessionFileError(
            f"{path} was written by a newer version of napari-sam2: its format is {version}, and "
            f"this version reads up to {FORMAT}. Update with: pip install -U napari-sam2"
        )
    connection.execute("SELECT count(*) FROM records").fetchone()


def _foreign(path: Path) -> str:
    return (
        f"{path} is not a session file: expected one that napari-sam2 has saved (*.sam2). If it "
        "is one, its beginning is damaged; take a copy of it that is whole."
    )


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def _explained(path: Path) -> Iterator[Any]:
    """Say what SQLite's errors mean for the user."""
    try:
        yield
    except (sqlite3.Error, zlib.error) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise BusyFileError(
                f"{path} is open elsewhere: another napari works on it. Close it there first."
            ) from error
        raise SessionFileError(_explain(path, code, error)) from error


def _explain(path: Path, code: int, error: Exception) -> str:
    if code == sqlite3.SQLITE_NOTADB:
        return _foreign(path)
    if code == sqlite3.SQLITE_FULL:
        return (
            f"There is no room to save {path}. Make room, or save elsewhere; what was saved "
            "before is untouched."
        )
    if code == sqlite3.SQLITE_IOERR:
        return (
            f"{path} could not be read or written ({error}): the disk is full, or its drive is "
            "gone. Save it elsewhere; what was saved before is untouched."
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return f"{path} cannot be opened or written to here ({error}). Save it elsewhere."
    return (
        f"{path} is damaged, or was cut off while it was copied ({error}). Take a copy of it that "
        "is whole."
    )
