"""What the endpoint answers about who will be gone, and what it refuses and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from inference.handlers import load_handler
from inference.media import JSON, JSON_LINES
from listening.archive import ArchiveWriter, write_prior
from listening.churn.bundle import BUNDLE, Horizon, Parts
from listening.churn.days import COUNTS, Activity
from listening.churn.features import Snapshots
from listening.churn.models import Calibrated, Logistic, Recency, Standard, columns, probability
from listening.errors import RequestError

if TYPE_CHECKING:
    from inference.handlers import Handler

DEVICES = ("car", "phone")
DAYS = [
    {"day": f"2024-05-{day:02}", "plays": day, "seconds": 100.0 * day, "searches": day % 2}
    for day in (1, 2, 4, 9)
]
ASKED = {"activity": DAYS, "as_of": "2024-05-20"}
AS_OF = int(np.datetime64("2024-05-20", "D").astype(int))


def model(shift: float) -> Calibrated:
    width = len(columns(DEVICES))
    rng = np.random.default_rng(3)
    standard = Standard(np.zeros(width, bool), np.full(width, 2.0), np.full(width, 9.0))
    return Calibrated(
        "logistic",
        Logistic(standard, rng.normal(size=width) / 4, rng.normal(size=width) / 9, shift),
    )


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Handler:
    folder = tmp_path_factory.mktemp("bundle")
    recency = Calibrated("recency", Recency((1.0, 30.0), (-2.0, 1.0)))
    tenths = tuple(np.linspace(0.9, 0.1, 9).tolist())
    parts = Parts(
        horizons=tuple(Horizon(d, model(-d / 9), recency, 0.25, tenths) for d in (3, 7, 14)),
        devices=DEVICES,
        bots_above=500.0,
    )
    writer = ArchiveWriter(folder)
    writer.finish(BUNDLE, parts.write(writer), synthetic=True)
    return load_handler(folder)


def ask(handler: Handler, question: Any, content_type: str = JSON) -> Any:
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    answer, media_type = handler.answer(body, content_type, "")
    assert media_type == content_type
    return json.loads(answer) if content_type == JSON else [*map(json.loads, answer.splitlines())]


def test_the_answer_is_the_models_on_the_features_of_the_date(handler: Handler) -> None:
    found = ask(handler, ASKED | {"user_id": 7, "device": "phone"})
    rows = [[float(day.get(name, 0)) for name in COUNTS] for day in DAYS]
    when = [int(np.datetime64(day["day"], "D").astype(int)) for day in DAYS]
    known = Snapshots(
        Activity(
            np.array([0, 4]), np.array(when), np.array(rows), np.full(4, -1), np.array([np.nan])
        )
    )
    features = known.features(np.zeros(1, int), AS_OF)
    row = np.concatenate([features[0], [0, 1]]).astype(np.float32)[None]
    expected = probability([model(-d / 9).log_odds(row)[0] for d in (3, 7, 14)])
    assert [told["probability"] for told in found["gone"]] == pytest.approx(
        np.minimum.accumulate(expected).tolist(), abs=1e-4
    )
    assert [told["days"] for told in found["gone"]] == [3, 7, 14]
    assert {told["base_rate"] for told in found["gone"]} == {0.25}
    assert (found["user_id"], found["as_of"]) == ("7", "2024-05-20")
    assert (found["last_active"], found["in_population"]) == ("2024-05-09", True)
    assert (found["bot"], found["prior"], found["synthetic"]) == (False, False, True)
    assert found["reasons_of"] == 14
    sizes = [abs(reason["log_odds"]) for reason in found["reasons"]]
    assert sizes == sorted(sizes, reverse=True)
    assert "notes" not in found


def test_plays_and_events_come_to_the_same_as_their_days(handler: Handler) -> None:
    plays = [
        {"played_at": f"2024-05-0{day}T{hour:02}:00:00Z", "played_s": 100, "track_id": f"t{hour}",
         "artist_name": "Air"}
        for day in (1, 3) for hour in range(5)
    ]  # fmt: skip
    events = [{"at": "2024-05-03T22:00:00Z", "kind": "search"}]
    days = [
        {"day": "2024-05-01", "plays": 5, "seconds": 500, "artists": 1},
        {"day": "2024-05-03", "plays": 5, "seconds": 500, "artists": 1, "searches": 1},
    ]
    asked = {"as_of": "2024-05-20"}
    found = ask(handler, asked | {"plays": plays, "events": events})
    assert found == ask(handler, asked | {"activity": days})
    repeated = ask(handler, asked | {"plays": [*plays, plays[1]], "events": events})
    assert repeated.pop("notes") == [
        "plays and events: 1 repeated the same within a second, and were left out"
    ]
    assert repeated == found
    nameless = [{"ended_at": "2024-05-03T10:00:00Z"}] * 2
    assert "notes" not in ask(handler, asked | {"plays": nameless})


def test_what_comes_from_the_date_on_is_left_out_and_said(handler: Handler) -> None:
    later = [*DAYS, {"day": "2024-05-20", "plays": 9}, {"day": "2024-06-01", "plays": 1}]
    found = ask(handler, ASKED | {"activity": later})
    assert found.pop("notes") == ["activity: 2 on the day of as_of or after it were left out"]
    assert found == ask(handler, ASKED)
    late = ask(handler, ASKED | {"as_of": "2024-05-20T23:59:59Z"})
    assert late == ask(handler, ASKED)


def test_the_same_day_twice_is_added(handler: Handler) -> None:
    halves = [day | {"plays": day["plays"] / 2, "seconds": day["seconds"] / 2} for day in DAYS]
    halves = [*halves, *(half | {"searches": 0} for half in halves)]
    found = ask(handler, ASKED | {"activity": halves})
    assert found.pop("notes") == ["activity: 4 days were there before, and were added"]
    assert found == ask(handler, ASKED)


def test_horizons_are_those_asked_for(handler: Handler) -> None:
    found = ask(handler, ASKED | {"days": [7, 3]})
    assert [told["days"] for told in found["gone"]] == [3, 7]
    assert found["reasons_of"] == 7


def test_of_whom_nothing_was_heard_lately_it_says_so(handler: Handler) -> None:
    for question in ({"as_of": "2024-05-20"}, ASKED | {"as_of": "2024-12-01"}):
        found = ask(handler, question)
        assert found["in_population"] is False
        assert "training knew nobody like this" in found["notes"][-1]


def test_a_bot_is_flagged_and_scored(handler: Handler) -> None:
    found = ask(handler, ASKED | {"activity": [{"day": "2024-05-19", "plays": 501}]})
    assert found["bot"] is True
    assert found["gone"]


def test_several_listeners(handler: Handler) -> None:
    alone = ask(handler, ASKED)
    listed = {"as_of": "2024-05-20", "listeners": [{"activity": DAYS}, {"user_id": "x"}]}
    first, second = ask(handler, listed)["answers"]
    assert first == alone
    assert second["user_id"] == "x"
    lines = b"\n".join(json.dumps(ASKED).encode() for _ in range(2))
    assert ask(handler, lines, JSON_LINES) == [alone, alone]


def test_before_training_it_answers_with_the_prior(tmp_path: Any) -> None:
    write_prior(tmp_path, system="churn")
    found = ask(load_handler(tmp_path), ASKED)
    assert found["prior"] is True
    assert [told["probability"] for told in found["gone"]] == [
        round(11 / (11 + days), 4) for days in (3, 7, 14)
    ]
    assert "decile" not in found["gone"][0]
    assert found["reasons"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"activity": 3}, "activity: must be a list, got 3"),
        ({"activity": [3]}, "activity[0]: must be an object, got 3"),
        ({"activity": [{"plays": 1}]}, "activity[0].day: must be a time such as"),
        ({"activity": [{"day": "2024-05-01", "plays": -1}]}, "activity[0].plays: must be a number"),
        ({"activity": [{"day": "2024-05-01", "playz": 1}]}, "activity[0].playz: is not known"),
        ({"plays": []}, "activity: send either activity or plays, not both"),
        ({"events": []}, "activity: send either activity or events, not both"),
        ({"as_of": "soon"}, "as_of: must be a time such as"),
        ({"as_of": "1999-05-01"}, "as_of: must be after the year 1999"),
        ({"days": [5]}, "days[0]: must be one of 3, 7, 14, got 5"),
        ({"days": [3, 7, 14, 3]}, "days: 4 of one listener, at most 3"),
        ({"device": 4}, "device: must be text"),
        ({"dayz": 4}, "dayz: is not known; send user_id, activity"),
        ({"activity": None, "plays": [{"played_at": 1e9, "played_s": 9e4}]}, "are over a day"),
        (
            {"activity": None, "events": [{"at": "2024-05-01", "kind": "like"}]},
            "events[0].kind: must be search",
        ),
        ({"activity": None, "plays": [{}]}, "plays[0].ended_at: must be a time"),
        ({"activity": [{"day": "1969-12-31", "plays": 1}]}, "activity[0].day: must be after the"),
        (
            {"activity": None, "plays": [{"played_at": "1969-12-31"}]},
            "plays[0].played_at: must be after the year 1999",
        ),
        (
            {"activity": None, "plays": [{"ended_at": "2000-01-01", "played_s": 1}]},
            "plays[0].ended_at: must be after the year 1999",
        ),
        (
            {"activity": None, "events": [{"at": "1960-01-01", "kind": "search"}]},
            "events[0].at: must be after the year 1999",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(
    handler: Handler, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError) as refused:
        ask(handler, ASKED | change)
    assert words in str(refused.value)


def test_a_wrong_body_is_refused(handler: Handler) -> None:
    for body, words in (
        (b"[]", "must be an object such as"),
        (b'{"listeners": [1]}', "listeners[0].: must be an object"),
        (b'{"listeners": [], "horizon": 3}', "horizon: is not known beside listeners"),
    ):
        with pytest.raises(RequestError) as refused:
            ask(handler, body)
        assert words in str(refused.value)
    with pytest.raises(RequestError, match="must be an object"):
        ask(handler, b"3\n", JSON_LINES)
