"""A request's body, of which nothing is trusted, to listeners or feature vectors.

Every refusal is a `RequestError` that names the offending field, such as
``listeners[2].top_artists[0].playcount``.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import orjson

from inference.limits import MAX_ARTISTS, MAX_COUNT, MAX_LISTENERS, MAX_PARQUET, MAX_PLAYS, MAX_TEXT
from listening.country.listeners import RawListener
from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Level = Literal["country", "region"]

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"
PARQUET = "application/x-parquet"

_TEXT_COLUMNS = ("user_id", "artist_name", "mbid")
_NUMBER_COLUMNS = ("playcount", "total_scrobbles")


@dataclass(frozen=True)
class Options:
    """What is asked about a listener.

    Parameters
    ----------
    k
        How many countries.
    explain
        Whether to say which artists drove the answer.
    level
        Down to which level: ``country``, or ``region`` alone.
    """

    k: int = 5
    explain: bool = False
    level: Level = "country"


@dataclass(frozen=True)
class Question:
    """A listener and what is asked about them."""

    listener: RawListener
    options: Options
    user_id: str | None = None


@dataclass(frozen=True)
class Questions:
    """Listeners by their plays; `single` where the caller sent one, not a list of one."""

    items: list[Question]
    single: bool = False


@dataclass(frozen=True)
class FeatureQuestions:
    """Listeners by their feature vectors, float32 of ``(n_listeners, width)``."""

    features: npt.NDArray[np.float32]
    options: Options
    single: bool = False


def parse(body: bytes, content_type: str) -> Questions | FeatureQuestions:
    """Read a request's body.

    Parameters
    ----------
    body
        As received.
    content_type
        Its media type. Where the body has no place for ``k``, ``explain`` and ``level`` (CSV,
        parquet and npy), they are parameters of it: ``text/csv; k=3; level=region``.

    Raises
    ------
    RequestError
        415 for another media type, 413 for too much, 400 for everything else.
    """
    media_type, parameters = parse_media_type(content_type or JSON)
    reader = _READERS.get(media_type)
    if reader is None:
        raise RequestError(
            f"Content-Type {media_type!r} is not accepted; send one of {', '.join(_READERS)}",
            status=415,
        )
    if parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise RequestError("Content-Type: charset must be utf-8", status=415)
    return reader(body, parameters)


def parse_media_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a media type such as ``text/csv; k=3`` into its name and its parameters."""
    name, *rest = value.split(";")
    pairs = (part.partition("=") for part in rest)
    parameters = {key.strip().lower(): text.strip().strip('"') for key, _, text in pairs}
    return name.strip().lower(), parameters


def _options(document: Mapping[str, Any], default: Options, where: str = "") -> Options:
    k = document.get("k", default.k)
    if type(k) is not int or k < 1:
        raise RequestError(f"{where}k: must be a whole number from 1, got {_shown(k)}")
    explain = document.get("explain", default.explain)
    if type(explain) is not bool:
        raise RequestError(f"{where}explain: must be true or false, got {_shown(explain)}")
    level = document.get("level", default.level)
    if level not in get_args(Level):
        raise RequestError(f"{where}level: must be country or region, got {_shown(level)}")
    if (k, explain, level) == (default.k, default.explain, default.level):
        return default
    return Options(k, explain, cast("Level", level))


_PARAMETERS: dict[str, Callable[[str], Any]] = {
    "k": lambda text: int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text,
    "explain": lambda text: {"true": True, "false": False}.get(text, text),
    "level": str,
}


def _parameter_options(parameters: Mapping[str, str]) -> Options:
    known = {
        name: read(parameters[name]) for name, read in _PARAMETERS.items() if name in parameters
    }
    return _options(known, Options(), "Content-Type: ")


def _json(body: bytes, _: Mapping[str, str]) -> Questions:
    document = _decode(body, "")
    if "listeners" not in document:
        return Questions([_question(document, "", Options())], single=True)
    listeners = document["listeners"]
    if not isinstance(listeners, list):
        raise RequestError(f"listeners: must be a list, got {_shown(listeners)}")
    _check_number_of_listeners(len(listeners))
    options = _options(document, Options())
    return Questions(
        [_question(entry, f"listeners[{i}].", options) for i, entry in enumerate(listeners)]
    )


def _json_lines(body: bytes, _: Mapping[str, str]) -> Questions:
    lines = body.split(b"\n")
    _check_number_of_listeners(len(lines) - 1)
    return Questions(
        [
            _question(_decode(line, f"line {i}: "), f"line {i}: ", Options())
            for i, line in enumerate(lines, start=1)
            if line.strip()
        ]
    )


def _decode(text: bytes, where: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"{where}not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError(
            f'{where}must be an object such as {{"top_artists": [{{"artist_name": "Björk"}}]}} '
            f'or {{"listeners": […]}}, got {_shown(document)}'
        )
    return document


def _question(entry: Any, where: str, options: Options) -> Question:
    if not isinstance(entry, dict):
        raise RequestError(f"{where.rstrip('.: ')}: must be an object, got {_shown(entry)}")
    artists = entry.get("top_artists")
    if not isinstance(artists, list):
        raise RequestError(f"{where}top_artists: must be a list, got {_shown(artists)}")
    _check_number_of_artists(len(artists), where)
    names: list[str | None] = []
    mbids: list[str | None] = []
    playcounts: list[float | None] = []
    for i, artist in enumerate(artists):
        place = f"{where}top_artists[{i}]"
        if not isinstance(artist, dict):
            raise RequestError(f"{place}: must be an object, got {_shown(artist)}")
        name, mbid = artist.get("artist_name"), artist.get("mbid")
        if name is None and mbid is None:
            raise RequestError(f"{place}: needs artist_name or mbid")
        names.append(_text(name, place, "artist_name"))
        mbids.append(_text(mbid, place, "mbid"))
        playcounts.append(_count(artist.get("playcount"), place, "playcount"))
    return Question(
        RawListener(
            names,
            playcounts if any(count is not None for count in playcounts) else None,
            mbids if any(mbids) else None,
            _count(entry.get("total_scrobbles"), where, "total_scrobbles"),
        ),
        _options(entry, options, where),
        _user_id(entry.get("user_id"), where),
    )


def _text(value: Any, where: str, field: str) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_TEXT):
        return value
    shown = f"{len(value)} characters" if isinstance(value, str) else _shown(value)
    raise RequestError(
        f"{where}{'.' * (where[-1:] == ']')}{field}: must be text of at most {MAX_TEXT} "
        f"characters, got {shown}"
    )


def _user_id(value: Any, where: str) -> str | None:
    return _text(str(value) if type(value) is int else value, where, "user_id")


def _count(value: Any, where: str, field: str) -> float | None:
    if value is None:
        return None
    if type(value) in (int, float) and 0 <= value <= MAX_COUNT:
        return float(value)
    raise RequestError(
        f"{where}{'.' * (where[-1:] == ']')}{field}: must be a number from 0 to {MAX_COUNT:.0e}, "
        f"got {_shown(value)}"
    )


def _shown(value: Any) -> str:
    """Return a short form of what a caller sent, for an error message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _check_number_of_listeners(n: int) -> None:
    if n > MAX_LISTENERS:
        raise RequestError(
            f"listeners: {n} in one request, at most {MAX_LISTENERS}; send several requests",
            status=413,
        )


def _check_number_of_artists(n: int, where: str) -> None:
    if n > MAX_ARTISTS:
        raise RequestError(
            f"{where}top_artists: {n} artists, at most {MAX_ARTISTS}; send the most played ones",
            status=413,
        )


@dataclass
class _Plays:
    """One listener of a table of plays, while its rows are being read."""

    user_id: str | None
    names: list[str | None]
    playcounts: list[float | None]
    mbids: list[str | None]
    total_scrobbles: float | None = None


def _from_rows(
    rows: Iterable[tuple[str, dict[str, Any]]], columns: Iterable[str], options: Options
) -> Questions:
    """Group rows of one play each, in rank order, by ``user_id``; without it, all are one's."""
    if not {"artist_name", "mbid"} & set(columns):
        raise RequestError(f"columns: artist_name or mbid is missing, got {_shown(list(columns))}")
    listeners: dict[str | None, _Plays] = {}
    for where, row in rows:
        user_id = _user_id(row.get("user_id"), where)
        listener = listeners.get(user_id)
        if listener is None:
            _check_number_of_listeners(len(listeners) + 1)
            listener = listeners[user_id] = _Plays(user_id, [], [], [])
        name, mbid = _text(row.get("artist_name"), where, "artist_name"), row.get("mbid")
        if name is None and mbid is None:
            raise RequestError(f"{where}needs artist_name or mbid")
        listener.names.append(name)
        listener.mbids.append(_text(mbid, where, "mbid"))
        listener.playcounts.append(_count(row.get("playcount"), where, "playcount"))
        _check_number_of_artists(len(listener.names), where)
        total = _count(row.get("total_scrobbles"), where, "total_scrobbles")
        listener.total_scrobbles = total if total is not None else listener.total_scrobbles
    return Questions(
        [
            Question(
                RawListener(
                    plays.names,
                    plays.playcounts if any(c is not None for c in plays.playcounts) else None,
                    plays.mbids if any(plays.mbids) else None,
                    plays.total_scrobbles,
                ),
                options,
                plays.user_id,
            )
            for plays in listeners.values()
        ]
    )


def _csv(body: bytes, parameters: Mapping[str, str]) -> Questions:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"body: not UTF-8 ({error.reason} at byte {error.start})") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)

    def rows() -> Iterable[tuple[str, dict[str, Any]]]:
        try:
            for row in reader:
                where = f"line {reader.line_num}: "
                if None in row or None in row.values():
                    raise RequestError(f"{where}has another number of fields than the header")
                values: dict[str, Any] = {name: cell or None for name, cell in row.items()}
                for column in _NUMBER_COLUMNS:
                    if values.get(column):
                        values[column] = _number(values[column])
                yield where, values
        except csv.Error as error:
            raise RequestError(f"line {reader.line_num}: not CSV ({error})") from error

    try:
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise RequestError(f"line 1: not CSV ({error})") from error
    return _from_rows(rows(), columns, _parameter_options(parameters))


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _parquet(body: bytes, parameters: Mapping[str, str]) -> Questions:
    import pyarrow.parquet as pq  # noqa: PLC0415 - half a second that only parquet needs

    try:
        metadata = pq.read_metadata(io.BytesIO(body))
        groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        columns = metadata.schema.to_arrow_schema().names
        if metadata.num_rows > MAX_PLAYS:
            raise RequestError(f"body: {metadata.num_rows} rows, at most {MAX_PLAYS}", status=413)
        if sum(groups) > MAX_PARQUET:
            raise RequestError(
                f"body: {sum(groups)} bytes once decompressed, at most {MAX_PARQUET}", status=413
            )
        # Dictionaries stay what they are: a small file can repeat a long text a million times.
        texts = [name for name in _TEXT_COLUMNS if name in columns]
        file = pq.ParquetFile(io.BytesIO(body), metadata=metadata, read_dictionary=texts)
        return _from_rows(_parquet_rows(file, columns), columns, _parameter_options(parameters))
    except RequestError:
        raise
    except Exception as error:  # of a damaged file, Arrow's and Python's own both occur
        raise RequestError(f"body: not a readable parquet file ({_shown(str(error))})") from error


def _parquet_rows(file: Any, columns: list[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    wanted = [name for name in (*_TEXT_COLUMNS, *_NUMBER_COLUMNS) if name in columns]
    start = 0
    for batch in file.iter_batches(batch_size=10_000, columns=wanted, use_threads=False):
        batch.validate(full=True)
        values = [_column_values(batch.column(name)) for name in wanted]
        for i, row in enumerate(zip(*values, strict=True), start=start):
            yield f"row {i}: ", dict(zip(wanted, row, strict=True))
        start += batch.num_rows


def _column_values(column: Any) -> list[Any]:
    """Return a column as Python values, the values of a dictionary once each."""
    if not hasattr(column, "dictionary"):
        values: list[Any] = column.to_pylist()
        return values
    entries = [*column.dictionary.to_pylist(), None]
    return [entries[-1 if place is None else place] for place in column.indices.to_pylist()]


def _npy(body: bytes, parameters: Mapping[str, str]) -> FeatureQuestions:
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(stream)
    except Exception as error:  # numpy evaluates the header, and Python's tokenizer may fail too
        raise RequestError(f"body: not an .npy array ({_shown(str(error))})") from error
    if dtype.kind not in "fiu":
        raise RequestError(f"body: features must be numbers, got an array of {dtype}")
    if len(shape) not in (1, 2) or not all(type(n) is int and n >= 0 for n in shape):
        raise RequestError(f"body: shape must be (width,) or (listeners, width), got {shape}")
    if math.prod(shape) * dtype.itemsize != len(body) - stream.tell():
        raise RequestError(f"body: does not hold the {shape} of {dtype} that its header says")
    _check_number_of_listeners(shape[0] if len(shape) == 2 else 1)
    values = np.frombuffer(body, dtype=dtype, offset=stream.tell())
    with np.errstate(over="ignore", invalid="ignore"):
        features = values.reshape(shape, order="F" if fortran_order else "C").astype(np.float32)
    return FeatureQuestions(
        np.ascontiguousarray(np.atleast_2d(features)),
        _parameter_options(parameters),
        single=len(shape) == 1,
    )


_READERS: dict[str, Callable[[bytes, Mapping[str, str]], Questions | FeatureQuestions]] = {
    JSON: _json,
    JSON_LINES: _json_lines,
    CSV: _csv,
    PARQUET: _parquet,
    NPY: _npy,
}
