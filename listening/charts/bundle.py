"""What the archives of the charts system hold.

- `BUNDLE`: what the gate judges: the lists of every window and place, and by which method;
- `PRIOR`: nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from listening.charts.parts import PARTS
from listening.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listening.archive import Archive, ArchiveWriter

BUNDLE, PRIOR = "charts.bundle", "charts.prior"
WORLD = "world"
FILE = "lists.json"


@dataclass(frozen=True)
class Track:
    """A track in a list.

    Parameters
    ----------
    track_id, artist_name, track_name
        As the log has them; None where it does not.
    score
        By the bundle's method.
    parts
        What it was reckoned from, by name.
    previous_rank
        A week before; None where it was not in the list.
    is_new, is_rising
        Whether it was in no list a week before; whether its listeners are twice those of its past.
    """

    track_id: str | None
    artist_name: str | None
    track_name: str | None
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    previous_rank: int | None = None
    is_new: bool = False
    is_rising: bool = False


@dataclass(frozen=True)
class Lists:
    """The lists of a bundle.

    Parameters
    ----------
    tracks
        The first first, by window and place.
    method, half_lives
        How they were made; half-lives in days by window.
    end
        The day after the last that counts, since 1970.
    windows
        Days, by window.
    """

    tracks: Mapping[str, Mapping[str, tuple[Track, ...]]]
    method: str
    half_lives: Mapping[str, float]
    end: int
    windows: Mapping[str, int]

    def write(self, archive: ArchiveWriter) -> dict[str, Any]:
        """Write the file into an archive, and return its content."""
        document = {
            window: {place: [asdict(track) for track in tracks] for place, tracks in places.items()}
            for window, places in self.tracks.items()
        }
        return {
            "file": archive.text(FILE, json.dumps(document, ensure_ascii=False)),
            "parts": list(PARTS),
            "method": self.method,
            "half_lives": dict(self.half_lives),
            "end": self.end,
            "windows": dict(self.windows),
        }


class ChartsBundle:
    """A bundle, ready to answer.

    Raises
    ------
    ArchiveError
        The archive is no bundle, or damaged.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        content = archive.content
        if archive.kind != BUNDLE:
            raise ArchiveError(f"{archive.folder}: a {archive.kind}, expected a {BUNDLE}")
        try:
            document = json.loads(archive.text(content["file"]))
            self.lists = Lists(
                tracks={
                    window: {
                        place: tuple(Track(**track) for track in tracks)
                        for place, tracks in places.items()
                    }
                    for window, places in document.items()
                },
                method=str(content["method"]),
                half_lives={str(w): float(d) for w, d in content["half_lives"].items()},
                end=int(content["end"]),
                windows={str(w): int(d) for w, d in content["windows"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveError(f"{archive.manifest}: not a bundle's content ({error!r})") from error
        for window in self.lists.windows:
            if WORLD not in self.lists.tracks.get(window, {}):
                raise ArchiveError(f"{archive.manifest}: no list of the world for a {window}")
