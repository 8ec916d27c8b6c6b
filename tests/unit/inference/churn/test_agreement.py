"""Plays and events as they were sent come to the days that the job counts of the same rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_jobs.churn.counting import _counted
from inference.churn.inputs import parse
from inference.media import JSON
from listening.churn.days import COUNTS
from listening.errors import RequestError

NOW = datetime(2024, 6, 1, tzinfo=UTC)
LENGTHS = {"t1": 200.0, "t2": 20.0}
TYPES = {
    **{"user_id": pa.string(), "kind": pa.int8(), "played_s": pa.float64()},
    **{"played_at": pa.timestamp("us", tz="UTC"), "ended_at": pa.timestamp("us", tz="UTC")},
    **{"track_id": pa.int64(), "artist": pa.int64(), "device": pa.string()},
}

TIMES = st.sampled_from([0.0, 0.5, 60.0, 86_400.0 - 60, 86_400.0, 3 * 86_400.0]).map(
    lambda after: f"{datetime.fromtimestamp(1_714_521_600 + after, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


PLAYS = st.fixed_dictionaries(
    {
        "played_at": optional(TIMES),
        "ended_at": optional(TIMES),
        "played_s": optional(st.sampled_from([0, 10, 19.5, 90, 170, 250])),
        "track_id": optional(st.sampled_from(["t1", "t2", " t1 "])),
        "artist_name": st.sampled_from(["Air", "Muse"]),
        "track_name": optional(st.sampled_from(["One", "Two"])),
    }
)
EVENTS = st.fixed_dictionaries(
    {
        "at": TIMES,
        "kind": st.sampled_from(["search", "download"]),
        "track_id": optional(st.sampled_from(["t1", "t2"])),
    }
)


def sent(plays: list[dict[str, Any]], events: list[dict[str, Any]]) -> dict[int, list[float]]:
    told = [play | {"length_s": LENGTHS.get((play["track_id"] or "").strip())} for play in plays]
    body = json.dumps({"plays": told, "events": events, "as_of": "2024-05-20"}).encode()
    (question,) = parse(body, JSON, horizons=(7,)).items
    days = question.activity
    return dict(zip(days.day.tolist(), days.counts.tolist(), strict=True))


def counted(plays: list[dict[str, Any]], events: list[dict[str, Any]]) -> dict[int, list[float]]:
    """Return what the job makes of the rows, with numbers of our own for its hashes."""
    numbers: dict[object, int] = {}

    def number(*value: object) -> int:
        return numbers.setdefault(value, len(numbers))

    def time(text: str | None) -> datetime | None:
        return text and datetime.fromisoformat(text)

    rows = [
        {
            "kind": 0, "played_at": time(play["played_at"]), "ended_at": time(play["ended_at"]),
            "played_s": play["played_s"], "artist": number("artist", play["artist_name"]),
            "track_id": number(play["track_id"].strip()) if play["track_id"]
            else number(play["artist_name"], play["track_name"] or ""),
        }
        for play in plays
    ] + [
        {
            "kind": 1 + (event["kind"] == "download"), "played_at": time(event["at"]),
            "track_id": number("event", event["kind"], event["track_id"]),
        }
        for event in events
    ]  # fmt: skip
    schema = pa.schema(list(TYPES.items()))
    table = pa.Table.from_pylist([{"user_id": "ann"} | row for row in rows], schema)
    lengths = {number(name): seconds for name, seconds in LENGTHS.items()}
    known = pa.table({"track": list(lengths), "length_s": list(lengths.values())})
    *days, _ = _counted(table, known, NOW).to_pylist()
    return {day["day"]: [day[name] for name in COUNTS] for day in days}


@given(plays=st.lists(PLAYS, max_size=8), events=st.lists(EVENTS, max_size=5))
def test_what_is_sent_is_counted_as_the_job_counts_it(
    plays: list[dict[str, Any]], events: list[dict[str, Any]]
) -> None:
    plays = [
        play for play in plays
        if play["played_at"] or play["ended_at"]
        if play["played_s"] is not None
        or not (play["played_at"] and play["ended_at"])
        or 0 <= seconds(play) <= 86_400
    ]  # fmt: skip
    found, expected = sent(plays, events), counted(plays, events)
    assert found.keys() == expected.keys()
    for day, counts in expected.items():
        assert found[day] == pytest.approx(counts)


def seconds(play: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(play[name]) for name in ("played_at", "ended_at"))
    return (ended - began).total_seconds()


def test_a_play_that_ended_before_it_began_is_refused() -> None:
    play = {"played_at": "2024-05-02", "ended_at": "2024-05-01"}
    with pytest.raises(RequestError, match=r"plays\[0\].ended_at: is before played_at"):
        sent([play | {"track_id": None}], [])
