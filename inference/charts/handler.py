"""The handler of charts' archives: a window and a place in, what is hot there out; from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.charts.inputs import Question, name_of, parse
from inference.media import negotiate
from inference.questions import MEDIA_TYPES, write_answers
from listening.charts.bundle import BUNDLE, PRIOR, WORLD, ChartsBundle
from listening.regions import default_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from listening.archive import Archive
    from listening.charts.bundle import Track


class ChartsHandler:
    """Answers with an archive of any of charts' kinds."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._lists = None if archive.kind == PRIOR else ChartsBundle(archive).lists
        self._region_of = default_regions().region_of

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request; see `inference.handlers.Handler`."""
        media_type = negotiate(accept, content_type, MEDIA_TYPES)
        questions = parse(body, content_type)
        answers = [self._answer(question) for question in questions.items]
        return write_answers(answers, media_type, single=questions.single), media_type

    def _answer(self, question: Question) -> dict[str, Any]:
        tracks, place, told = self._list(question)
        notes = []
        if place not in (question.country, WORLD) or (question.country and place == WORLD):
            notes.append(f"country: {question.country} has no list of its own; this is {place}'s")
        found = []
        for rank, track in enumerate(tracks, start=1):
            pair = name_of(track.artist_name, track.track_name)
            if track.track_id in question.heard or (all(pair) and pair in question.heard):
                continue
            found.append(_entry(rank, track))
            if len(found) == question.k:
                break
        if len(found) < question.k and tracks:
            notes.append(f"k: the list has {len(found)} tracks that were not left out")
        answer = {
            "window": question.window,
            "place": place,
            **told,
            "tracks": found,
            "prior": self._lists is None,
            "bundle_version": self.archive.version,
            "synthetic": self.archive.synthetic,
        }
        if notes:
            answer["notes"] = notes
        return answer

    def _list(self, question: Question) -> tuple[tuple[Track, ...], str, dict[str, Any]]:
        """Return the nearest place's list, the place, and what is told of the window."""
        lists = self._lists
        if lists is None:
            return (), WORLD, {}
        places = lists.tracks[question.window]
        country = question.country or WORLD
        nearest = (country, self._region_of.get(country, WORLD), WORLD)
        place = next(name for name in nearest if name in places)
        first = lists.end - lists.windows[question.window]
        told = {"from": _date(first), "until": _date(lists.end - 1), "method": lists.method}
        return places[place], place, told


def _entry(rank: int, track: Track) -> dict[str, Any]:
    return {
        "rank": rank,
        "track_id": track.track_id,
        "artist_name": track.artist_name,
        "track_name": track.track_name,
        "score": track.score,
        "listeners": round(track.parts["listeners"]),
        "plays": round(track.parts["plays"]),
        "parts": track.parts,
        "previous_rank": track.previous_rank,
        "new": track.is_new,
        "rising": track.is_rising,
    }


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))


HANDLERS: Mapping[str, Callable[[Archive], ChartsHandler]] = {
    BUNDLE: ChartsHandler,
    PRIOR: ChartsHandler,
}
"""By the archive's kind."""
