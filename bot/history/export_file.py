"""The bytes of an export, however they are packed: a file, a directory, a zip or gzip archive.

Nothing is unpacked to a disk: an archive is read as it stands, so the names in it lead nowhere. What
unpacks to more than any export would is refused while it is read.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from bot.admin.formatting import excerpt
from bot.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

RESULT: Final = "result.json"  # as Telegram Desktop calls it
PAGE: Final = "messages.html"  # what it writes instead, unless it is told otherwise
GZIP, ZIP = b"\x1f\x8b", b"PK"
BOM: Final = b"\xef\xbb\xbf"
HEAD: Final = 1024  # bytes
ANY_SIZE: Final = 4 * 1024 * 1024  # bytes that any archive may unpack to
TIMES: Final = 200  # … and beyond that: exports shrink to a tenth or a thirtieth
AS_JSON: Final = "export the chat again as machine-readable JSON"
NAME_MAX: Final = 60  # characters
# `RuntimeError` is for an encrypted member, `NotImplementedError` for a way of packing.
UNREADABLE: Final = (
    *(OSError, EOFError, zlib.error, zipfile.BadZipFile),
    *(RuntimeError, NotImplementedError),
)


class Unpacked:
    """What `ExportFile.open` gives. `read` raises one of `UNREADABLE`, or an `ExportError`."""

    def __init__(self, name: str, stream: Any, file: BufferedReader) -> None:
        self._name = name
        self._stream = stream
        self._file = file
        self._head = b""
        self._given = 0

    def read(self, size: int) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data
        fresh: bytes = self._stream.read1(size)
        self._given += len(fresh)
        if self._given > ANY_SIZE and self._given > TIMES * self.position:
            raise ExportError(
                f"{self._name} unpacks to more than {TIMES} times its size, as no export does",
                offset=self._given,
            )
        return fresh

    def peek(self) -> bytes:
        """Its first bytes, which are read again."""
        while len(self._head) < HEAD and (more := self._stream.read1(HEAD)):
            self._head += more
        return self._head

    @property
    def position(self) -> int:
        """How much of the file on the disk has been read, in bytes."""
        return self._file.tell()


class ExportFile:
    """Each `open` begins anew. `name` is what errors call it; None: as its path.

    Raises `ExportError` for what is no file, or holds no export.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name = name or str(path)
        self._path = self._within(path)
        self._member: str | None = None  # of a zip archive
        with self._failing("cannot be opened"):
            self.size = self._path.stat().st_size  # bytes on the disk
            with self._path.open("rb") as file:
                self._packed = file.read(HEAD)
            if self._packed.startswith(ZIP):
                self._choose_member()
            with self.open() as unpacked:
                self.head = unpacked.peek().removeprefix(BOM)

    def _within(self, path: Path) -> Path:
        with self._failing("cannot be opened"):
            if path.is_dir():
                if not (path / RESULT).is_file():
                    pages = f", but {PAGE}: {AS_JSON}" if (path / PAGE).exists() else ""
                    raise ExportError(f"{self.name} is a directory without {RESULT}{pages}")
                self.name = f"{self.name.rstrip('/')}/{RESULT}"
                return path / RESULT
            if path.exists() and not path.is_file():  # a pipe could not be read twice
                raise ExportError(f"{self.name} is not a file; `-` reads standard input")
        return path

    @contextmanager
    def open(self) -> Iterator[Unpacked]:
        """Raises `OSError` and whatever else is `UNREADABLE`."""
        with self._path.open("rb") as file:
            if self._member is not None:
                with zipfile.ZipFile(file) as archive, archive.open(self._member) as stream:
                    yield Unpacked(self.name, stream, file)
            elif self._packed.startswith(GZIP):
                with gzip.GzipFile(fileobj=file) as stream:
                    yield Unpacked(self.name, stream, file)
            else:
                yield Unpacked(self.name, file, file)

    def _choose_member(self) -> None:
        with zipfile.ZipFile(self._path) as archive:
            names = [each for each in archive.namelist() if not each.startswith("__MACOSX/")]
        results = [each for each in names if each.rpartition("/")[2] == RESULT]
        others = [each for each in names if each.lower().endswith((".json", ".csv"))]
        found = results or others
        if len(found) != 1:
            raise ExportError(f"{self.name} {_holds(found, names)}")
        self._member = found[0]
        self.name = f"{self.name}/{excerpt(self._member, NAME_MAX)}"

    @contextmanager
    def _failing(self, how: str) -> Iterator[None]:
        try:
            yield
        except (*UNREADABLE, ValueError) as exc:  # ValueError: a NUL in the path
            raise ExportError(f"{self.name} {how}: {why_unreadable(exc)}") from exc


def _holds(found: Sequence[str], names: Sequence[str]) -> str:
    if found:
        listed = ", ".join(excerpt(each, NAME_MAX) for each in found[:3])
        return f"holds {len(found)} exports ({listed}, …): unpack the one that is meant"
    pages = any(each.rpartition("/")[2] == PAGE for each in names)
    return f"holds no {RESULT}" + (f", but {PAGE}: {AS_JSON}" if pages else "")


def why_unreadable(exc: Exception) -> str:
    """One line, as far as the libraries have one."""
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    if isinstance(exc, EOFError):
        return "it ends too early"
    if isinstance(exc, RuntimeError) and "password" in str(exc):
        return "it is encrypted: unpack it first"
    return excerpt(str(exc), 100) or type(exc).__name__
