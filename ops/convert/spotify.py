"""Spotify's exports: the streaming history of a year, and the extended one of all years."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.convert.chunks import Recognised
from ops.convert.plays import Play, reader, seconds, text
from ops.convert.sources import Dropped, entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.convert.sources import Source

AUDIOBOOK = "audiobook"
PODCAST = "podcast"
NO_MUSIC = (AUDIOBOOK, PODCAST)
"""Why rows are dropped that are right, but no plays of music."""
HISTORY = "Spotify streaming history"
EXTENDED = "Spotify extended streaming history"
COLUMNS = {
    HISTORY: ("user_id", "ended_at", "artist_name", "track_name", "played_s"),
    EXTENDED: (
        "user_id",
        "ended_at",
        "track_id",
        "artist_name",
        "track_name",
        "played_s",
        "device",
    ),
}

_KEYS = {
    HISTORY: {"endTime", "msPlayed"},
    EXTENDED: {"ts", "ms_played"},
}


def recognise(source: Source) -> Recognised | None:
    """Recognise an export by the keys of its first entry."""
    form = _form(source)
    if form is None:
        return None
    return Recognised(
        form=form,
        columns={"plays": COLUMNS[form]},
        read=reader(plays, COLUMNS[form]),
        plays=plays,
        of_one=True,
    )


def _form(source: Source) -> str | None:
    if not (source.first_lines and source.first_lines[0].lstrip().startswith("[")):
        return None
    first = next(iter(entries(source)), None)
    if first is None or isinstance(first, Dropped):
        return None
    return next((form for form, keys in _KEYS.items() if keys <= first[1].keys()), None)


def plays(source: Source) -> Iterator[Play | Dropped]:
    """Yield the plays of an export; podcasts and audiobooks are dropped as such."""
    for entry in entries(source):
        yield entry if isinstance(entry, Dropped) else _play(*entry)


def _play(row: int, entry: dict[str, Any]) -> Play | Dropped:
    if "endTime" in entry:
        if "podcastName" in entry:
            return Dropped(PODCAST, row)
        return Play(
            row,
            text(entry.get("artistName")),
            text(entry.get("trackName")),
            text(entry.get("endTime")),
            played_s=seconds(entry.get("msPlayed")),
        )
    track = text(entry.get("master_metadata_track_name"))
    if not track and (entry.get("episode_name") or entry.get("spotify_episode_uri")):
        return Dropped(PODCAST, row)
    if not track and (entry.get("audiobook_title") or entry.get("audiobook_uri")):
        return Dropped(AUDIOBOOK, row)
    return Play(
        row,
        text(entry.get("master_metadata_album_artist_name")),
        track,
        text(entry.get("ts")),
        track_id=text(entry.get("spotify_track_uri")),
        device=text(entry.get("platform")),
        played_s=seconds(entry.get("ms_played")),
    )
