"""ListenBrainz: its users' exports, replies of its API, and its dumps of all listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.convert.chunks import Recognised
from ops.convert.plays import Play, reader, seconds, text
from ops.convert.sources import Dropped, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.convert.sources import Source

COLUMNS = ("user_id", "played_at", "artist_name", "track_name", "played_s", "device", "mbid")
"""Without recording ids: listens of one track have one or none, as their client had it."""


def recognise(source: Source) -> Recognised | None:
    """Recognise listens by the keys of the first."""
    if not (source.first_lines and source.first_lines[0].lstrip()[:1] in ("[", "{")):
        return None
    if b"track_metadata" not in source.head:
        return None
    first = next((listen for listen in _listens(source) if not isinstance(listen, Dropped)), None)
    if first is None or "track_metadata" not in first[1]:
        return None

    return Recognised(
        form="ListenBrainz listens",
        columns={"plays": COLUMNS},
        read=reader(plays, COLUMNS),
        plays=plays,
        of_one=not _user(first[1]),
    )


def plays(source: Source) -> Iterator[Play | Dropped]:
    """Yield the plays of an export, a reply or a dump."""
    for listen in _listens(source):
        yield listen if isinstance(listen, Dropped) else _play(*listen)


def _listens(source: Source) -> Iterator[tuple[int, dict[str, Any]] | Dropped]:
    for entry in entries(source):
        payload = None if isinstance(entry, Dropped) else entry[1].get("payload")
        if payload is None:
            yield entry
            continue
        listens = payload.get("listens") if isinstance(payload, dict) else payload
        for number, listen in enumerate(listens if isinstance(listens, list) else [], start=1):
            yield (number, listen) if isinstance(listen, dict) else Dropped("not an object", number)


def _user(listen: dict[str, Any]) -> str:
    return text(listen.get("user_name")) or text(listen.get("user_id"))


def _play(row: int, listen: dict[str, Any]) -> Play:
    track = _object(listen.get("track_metadata"))
    more = _object(track.get("additional_info"))
    mapped = _object(track.get("mbid_mapping"))
    length = more.get("duration_played")
    return Play(
        row,
        text(track.get("artist_name")),
        text(track.get("track_name")),
        text(listen.get("listened_at", listen.get("timestamp"))),
        mbid=_first(mapped.get("artist_mbids")) or _first(more.get("artist_mbids")),
        device=text(more.get("media_player")),
        played_s=seconds(length * 1000 if isinstance(length, int | float) else None),
        user_id=_user(listen),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first(values: Any) -> str:
    return text(values[0]) if isinstance(values, list) and values else ""
