"""The files of a source, opened whatever they are packed in, and their text read row by row."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zipfile
from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import orjson

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

HEAD = 256 * 1024  # bytes by which a file is recognised
BLOCK = 1024 * 1024  # characters of JSON at a time
LONGEST_ENTRY = 16 * BLOCK  # of a JSON list; one that does not end within it is broken

BROKEN_QUOTES = "broken quotes"
NO_JSON = "not JSON"
NOT_UTF8 = "not UTF-8"
WRONG_NUMBER = "wrong number of fields"

GENERIC = re.compile(
    r"my[_ ]?(spotify[_ ]?)?data|spotify[_ ](account[_ ]data|extended[_ ]streaming[_ ]history)"
    r"|streaming_?history(_(music|audio|video|podcast))?[\d_() -]*|endsong[\d_() -]*"
    r"|listens|scrobbles|lastfm",
    re.IGNORECASE,
)
"""Names of files and folders that exports bring along: they name nobody."""

_GZIP = b"\x1f\x8b"
_BETWEEN = set(" \t\r\n,")  # two entries of a JSON list
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Dropped(NamedTuple):
    """A row of a file that nothing can be made of.

    Parameters
    ----------
    reason
        In words that are counted.
    row
        The line or entry, from 1.
    """

    reason: str
    row: int


@dataclass(frozen=True)
class Source:
    """A file of a source, or a member of an archive in it.

    Parameters
    ----------
    name
        Where it lies, for people.
    opener
        Opens it for reading bytes.
    listener
        Whose it is, as far as its place says.
    day
        The date of its rows, where neither they nor its name say.
    path
        Where it lies on this machine; None within an archive.
    """

    name: str
    opener: Callable[[], BinaryIO]
    listener: str = ""
    day: date | None = None
    path: Path | None = None

    @staticmethod
    def of_bytes(content: bytes, *, name: str) -> Source:
        """Return a source that is in memory."""
        return Source(name, lambda: io.BytesIO(content))

    def open(self) -> BinaryIO:
        """Open the content, unzipped where it is gzip."""
        file = self.opener()
        start = file.read(len(_GZIP))
        file.close()
        file = self.opener()
        return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if start == _GZIP else file

    @cached_property
    def head(self) -> bytes:
        """The first bytes."""
        with self.open() as file:
            return file.read(HEAD)

    @cached_property
    def encoding(self) -> str:
        """``utf-8``, ``utf-16``, or ``latin-1`` where most lines that tell are not UTF-8."""
        if self.head.startswith(_UTF16):
            return "utf-16"
        lines = self.head.split(b"\n")
        telling = [line for line in (lines[:-1] or lines) if not line.isascii()]
        wrong = sum(_utf8(line) is None for line in telling)
        return "latin-1" if wrong > len(telling) / 2 else "utf-8"

    @cached_property
    def first_lines(self) -> list[str]:
        """The lines at the start that hold anything, without their ends; none of a binary file."""
        if b"\0" in self.head and self.encoding != "utf-16":
            return []
        text = self.head.decode(self.encoding, errors="replace").removeprefix("\ufeff")
        lines = text.split("\n")
        whole = lines if len(self.head) < HEAD or len(lines) == 1 else lines[:-1]
        return [line.rstrip("\r") for line in whole if line.strip()]

    def lines(self) -> Iterator[str | None]:
        """Yield every line with its end; None for one that is not UTF-8."""
        with self.open() as file:
            if self.encoding == "utf-16":
                yield from io.TextIOWrapper(file, "utf-16", errors="replace", newline="\n")
                return
            read = _utf8 if self.encoding == "utf-8" else _latin1
            for number, line in enumerate(file):
                yield read(line.removeprefix(codecs.BOM_UTF8) if number == 0 else line)

    def decoded(self) -> Iterator[str]:
        """Yield the text in blocks; bytes that are not UTF-8 as lone surrogates."""
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        decoder = codecs.getincrementaldecoder(encoding)(errors=errors)
        with self.open() as file:
            while block := file.read(BLOCK):
                yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def _utf8(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _latin1(line: bytes) -> str:
    return line.decode("latin-1")


def stem(name: str) -> str:
    """Return a file's name without its suffixes."""
    return Path(name.removesuffix(".gz")).stem


def find(place: Path) -> Iterator[Source | tuple[str, str]]:
    """Yield the files of a source, or the name of one and why it cannot be looked at.

    Parameters
    ----------
    place
        A file, a folder, or a zip archive.

    Raises
    ------
    DataError
        There is no such place.
    """
    if not place.exists():
        raise DataError(f"{place}: there is no such file or folder; give what is to be converted")
    if not place.is_dir():
        yield from _file(place, name=place.name, listener=stem(place.name))
        return
    whole = place.resolve().name
    for path in sorted(place.rglob("*")):
        if not path.is_file():
            continue
        inner = path.relative_to(place)
        first = stem(inner.parts[0]) if len(inner.parts) == 1 else inner.parts[0]
        listener = whole if GENERIC.fullmatch(first) else first
        yield from _file(path, name=inner.as_posix(), listener=listener)


def _file(path: Path, *, name: str, listener: str) -> Iterator[Source | tuple[str, str]]:
    source = Source(name, lambda: path.open("rb"), listener, path=path)
    if path.name.startswith((".", "_")):
        yield name, "its name begins with a dot or an underscore"
    elif not zipfile.is_zipfile(path):
        yield source
    else:
        with zipfile.ZipFile(path) as archive:
            members = [member.filename for member in archive.infolist() if not member.is_dir()]
        for member in sorted(members):
            yield replace(source, name=f"{name}/{member}", opener=_opener(path, member), path=None)


def _opener(path: Path, member: str) -> Callable[[], BinaryIO]:
    return lambda: cast("BinaryIO", zipfile.ZipFile(path).open(member))


class _Lines:
    """Lines that can be given back."""

    def __init__(self, source: Source) -> None:
        self._lines = enumerate(source.lines(), start=1)
        self._again: deque[tuple[int, str]] = deque()
        self.taken: list[tuple[int, str]] = []
        self.undecoded: list[int] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            number, line = self._again.popleft()
        else:
            number, text = next(self._lines)
            while text is None:
                self.undecoded.append(number)
                number, text = next(self._lines)
            line = text
        self.taken.append((number, line))
        return line

    def give_back_all_but_first(self) -> None:
        self._again.extendleft(reversed(self.taken[1:]))


def records(source: Source, delimiter: str) -> Iterator[tuple[int, list[str]] | Dropped]:
    """Yield the records of a CSV file that quotes as RFC 4180 says, each with its first line.

    A line whose quotes do not close, or close within a field, is dropped alone; lines without
    anything are no records.

    Parameters
    ----------
    source
        The file.
    delimiter
        Stands between two fields.
    """
    lines = _Lines(source)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            yield from (Dropped(NOT_UTF8, number) for number in lines.undecoded)
            return
        except csv.Error:
            first, _ = lines.taken[0]
            lines.give_back_all_but_first()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            yield Dropped(BROKEN_QUOTES, first)
        else:
            if any(row) or len(row) > 1:
                yield lines.taken[0][0], row
        if lines.undecoded:
            yield from (Dropped(NOT_UTF8, number) for number in lines.undecoded)
            lines.undecoded.clear()
        lines.taken.clear()


def cells(line: str, delimiter: str) -> list[str]:
    """Return the fields of a line of CSV, of which there is always one."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [""]) or [""]
    except csv.Error:
        return [""]


def table(
    source: Source, delimiter: str, *, columns: int
) -> Iterator[tuple[int, list[str]] | Dropped]:
    """Yield the records of a CSV file that have as many fields as there are columns."""
    for record in records(source, delimiter):
        if isinstance(record, Dropped) or len(record[1]) == columns:
            yield record
        else:
            yield Dropped(WRONG_NUMBER, record[0])


def entries(source: Source) -> Iterator[tuple[int, dict[str, Any]] | Dropped]:
    """Yield the objects of a JSON list or of JSON Lines, or one object, without reading all.

    What follows a place at which a list is broken counts as one entry that is not JSON.
    """
    first = source.first_lines[0].lstrip() if source.first_lines else ""
    if first.startswith("["):
        found = _of_list(source)
    elif _is_json(first):
        found = _of_lines(source)
    else:
        found = _of_document(source)
    for number, entry in found:
        if isinstance(entry, dict):
            yield number, entry
        else:
            yield Dropped(entry if isinstance(entry, str) else "not an object", number)


def _is_json(line: str) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def _of_document(source: Source) -> Iterator[tuple[int, object]]:
    try:
        yield 1, json.loads("".join(source.decoded()))
    except (ValueError, RecursionError):
        yield 1, NO_JSON


def _of_lines(source: Source) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(source.lines(), start=1):
        if line is None:
            yield number, NOT_UTF8
        elif line.strip():
            try:
                entry = orjson.loads(line)
            except ValueError:
                yield number, NO_JSON
            else:
                yield number, None if isinstance(entry, str) else entry


def _of_list(source: Source) -> Iterator[tuple[int, object]]:
    blocks = source.decoded()
    decode = json.JSONDecoder().raw_decode
    text = next(blocks).lstrip().removeprefix("[")
    damaged = _ESCAPED_BYTES.search(text) is not None
    number, place, end = 1, 0, False
    while True:
        while text[place : place + 1] in _BETWEEN:
            place += 1
        if text[place : place + 1] == "]":
            return
        try:
            entry, after = decode(text, place)
        except (json.JSONDecodeError, RecursionError):
            if end or len(text) - place > LONGEST_ENTRY:
                yield number, NO_JSON
                return
            block = next(blocks, None)
            text, place, end = text[place:] + (block or ""), 0, block is None
            damaged = damaged or _ESCAPED_BYTES.search(text) is not None
            continue
        if damaged and _ESCAPED_BYTES.search(text, place, after):
            yield number, NOT_UTF8
        else:
            yield number, None if isinstance(entry, str) else entry
        number, place = number + 1, after
