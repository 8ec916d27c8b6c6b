"""What the endpoint answers about sessions, and what it refuses and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest

from inference.handlers import load_handler
from inference.media import JSON, JSON_LINES
from listening.archive import ArchiveWriter, write_prior
from listening.errors import RequestError
from listening.sessions.bundle import BUNDLE, Parts, QuantileTrees
from listening.sessions.clusters import Clusters
from listening.sessions.cut import cut, play_lengths
from listening.sessions.forecast import LEVELS, PRIOR
from listening.sessions.moments import MOMENT_FEATURES
from listening.sessions.state import FEATURES, SUMMARY, Session, State
from listening.trees import portable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.handlers import Handler

NOON = 1_714_564_800.0  # 2024-05-01T12:00:00Z
DAY = 86_400.0
PAST = [
    {"start": NOON + i * DAY, "end": NOON + i * DAY + 1_200 + 60 * i, "plays": 6, "skips": 1}
    for i in range(8)
]
NOW = NOON + 9 * DAY


def trees(width: int) -> QuantileTrees:
    rng = np.random.default_rng(width)
    rows = rng.normal(3, 3, (400, width)).astype(np.float32)
    roots = 0.5 + 0.1 * np.abs(rows).sum(axis=1) / width + rng.gamma(1.0, 0.3, 400)
    texts = []
    for level in LEVELS:
        settings = {"objective": "quantile", "alpha": level, "num_leaves": 6, "verbosity": -1}
        found = lightgbm.train(settings | {"num_threads": 1}, lightgbm.Dataset(rows, roots), 5)
        texts.append(portable(found.model_to_string()))
    return QuantileTrees(tuple(texts), 0.0, 1.0, (0.0,) * len(LEVELS))


@pytest.fixture(scope="module")
def handler(tmp_path_factory: pytest.TempPathFactory) -> Handler:
    folder = tmp_path_factory.mktemp("bundle")
    archive = ArchiveWriter(folder)
    ones = np.ones(len(SUMMARY))
    parts = Parts(
        start=trees(len(FEATURES)),
        remaining=trees(len(MOMENT_FEATURES)),
        of_cluster={},
        clusters=Clusters(0 * ones, ones, np.stack([-ones, ones])),
        everyone=PRIOR,
        gap_s=1_800.0,
    )
    archive.finish(BUNDLE, parts.write(archive), synthetic=True)
    return load_handler(folder)


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handler]:
    folder = tmp_path_factory.mktemp("prior")
    write_prior(folder, system="sessions")
    yield load_handler(folder)


def ask(handler: Handler, question: Any, accept: str = "") -> Any:
    body, media_type = handler.answer(json.dumps(question).encode(), JSON, accept)
    assert media_type == JSON
    return json.loads(body)


def test_a_session_that_begins(handler: Handler) -> None:
    answer = ask(handler, {"user_id": "u", "sessions": PAST, "now": NOW, "longer_than": [0, 1800]})
    quantiles = list(answer["length_s"].values())
    assert list(answer["length_s"]) == [str(level) for level in LEVELS]
    assert quantiles == sorted(quantiles)
    assert quantiles[0] >= 0
    assert "remaining_s" not in answer
    never, half_an_hour = answer["longer_than"]
    assert (never["seconds"], never["probability"]) == (0, 1.0)
    assert 0 < half_an_hour["probability"] < 1
    assert (answer["user_id"], answer["now"]) == ("u", "2024-05-10T12:00:00Z")
    assert (answer["based_on"], answer["sessions_used"]) == ("listener", 8)
    assert answer["cluster"] in (0, 1)
    assert (answer["synthetic"], answer["prior"]) == (True, False)
    assert answer["bundle_version"] == handler.archive.version


def test_a_session_that_goes_on(handler: Handler) -> None:
    going_on = {"start": NOW - 700, "end": NOW - 100, "plays": 3}
    question = {"sessions": PAST, "now": NOW, "open_session": going_on, "longer_than": [60, 7200]}
    answer = ask(handler, question)
    for level in map(str, LEVELS):
        total = answer["length_s"][level]
        assert total == pytest.approx(answer["remaining_s"][level] + 600, abs=0.01)
    assert answer["longer_than"][0]["probability"] == 1.0  # it has lasted longer already
    assert answer["sessions_used"] == 8
    listed = {"sessions": [*PAST, going_on], "now": NOW, "longer_than": [60, 7200]}
    assert ask(handler, listed) == answer


def test_an_open_session_that_is_over_is_told(handler: Handler) -> None:
    over = {"start": NOW - 9_000, "end": NOW - 3_000, "plays": 3}
    answer = ask(handler, {"sessions": PAST, "now": NOW, "open_session": over})
    assert "remaining_s" not in answer
    assert answer["notes"] == [
        "open_session: over, since nothing was heard for more than 30 minutes"
    ]
    assert answer["sessions_used"] == 9


def test_what_it_is_based_on(handler: Handler, prior: Handler) -> None:
    found = {n: ask(handler, {"sessions": PAST[:n], "now": NOW})["based_on"] for n in (0, 1, 4, 5)}
    assert found == {0: "everyone", 1: "cluster", 4: "cluster", 5: "listener"}
    answer = ask(prior, {"sessions": PAST, "now": NOW})
    assert (answer["based_on"], answer["prior"], answer["cluster"]) == ("prior", True, None)
    assert answer["length_s"]["0.5"] == 1_800.0
    assert answer["bundle_version"] == "prior"


def test_plays_are_cut_as_the_job_cuts_them(handler: Handler) -> None:
    rng = np.random.default_rng(1)
    started = np.cumsum(rng.choice([180.0, 240.0, 9_000.0], 120)) + NOON
    heard = rng.uniform(10, 170, 120)
    plays = [
        {"played_at": at, "played_s": s}
        for at, s in zip(started.tolist(), heard.tolist(), strict=True)
    ]
    now = float(started[-1]) + 20_000
    by_plays = ask(handler, {"plays": plays, "now": now})
    owner = np.zeros(120, dtype=np.int64)
    lengths = play_lengths(owner=owner, played_s=heard, track_s=np.full(120, np.nan))
    found = cut(owner=owner, started=started, length=lengths.seconds)
    sessions = [
        {"start": s, "end": e, "plays": p, "skips": k}
        for s, e, p, k in zip(
            *(c.tolist() for c in (found.start, found.end, found.plays, found.skips)), strict=True
        )
    ]
    assert ask(handler, {"sessions": sessions, "now": now}) == by_plays
    ends = [{"ended_at": p["played_at"] + p["played_s"], "played_s": p["played_s"]} for p in plays]
    assert ask(handler, {"plays": ends, "now": now})["sessions_used"] == len(sessions)


def test_features_are_those_of_the_state(handler: Handler) -> None:
    state = State()
    for row in PAST:
        state.fold(Session(row["start"], row["end"], row["plays"], row["skips"]))
    rows = np.array([state.features(NOW)], dtype=np.float32)
    forecaster = handler._forecaster  # type: ignore[attr-defined]
    lengths = forecaster._bundle.lengths(rows, [0])[0]
    answer = ask(handler, {"sessions": PAST, "now": NOW})
    assert list(answer["length_s"].values()) == pytest.approx(lengths.tolist(), abs=1e-3)


def test_times_are_converted_and_order_is_mended(handler: Handler) -> None:
    told = [{**row, "start": iso(row["start"]), "end": iso(row["end"])} for row in reversed(PAST)]
    answer = ask(handler, {"sessions": told, "now": "2024-05-10T14:00:00+02:00"})
    assert answer.pop("notes") == ["sessions: were out of order, and sorted"]
    assert answer == ask(handler, {"sessions": PAST, "now": NOW})


def iso(seconds: float) -> str:
    """Return a time as somebody east of Greenwich writes it."""
    moment = np.datetime64(int(seconds + 5.5 * 3600), "s")
    return f"{moment}+05:30"


def test_sessions_that_no_silence_parts_are_one(handler: Handler) -> None:
    halves = [
        {"start": NOW - 9_000, "end": NOW - 8_000},
        {"start": NOW - 7_900, "end": NOW - 7_000},
    ]
    answer = ask(handler, {"sessions": [*PAST, *halves], "now": NOW})
    assert answer["sessions_used"] == 9
    assert "taken as one" in answer["notes"][0]


def test_many_listeners_get_what_each_gets_alone(handler: Handler) -> None:
    questions = [{"user_id": str(n), "sessions": PAST[:n], "now": NOW} for n in range(9)]
    going_on = {"start": NOW - 700, "end": NOW - 100, "plays": 3}
    questions.append({"user_id": "on", "sessions": PAST, "now": NOW, "open_session": going_on})
    alone = [ask(handler, question) for question in questions]
    assert ask(handler, {"listeners": questions})["answers"] == alone
    for question in questions:
        del question["now"]
    assert ask(handler, {"listeners": questions, "now": NOW})["answers"] == alone
    lines = b"\n".join(json.dumps(question | {"now": NOW}).encode() for question in questions)
    body, media_type = handler.answer(lines, JSON_LINES, "")
    assert media_type == JSON_LINES
    assert [json.loads(line) for line in body.splitlines()] == alone


def test_plays_that_are_not_told_are_unknown_and_not_none(handler: Handler) -> None:
    untold = [{"start": row["start"], "end": row["end"]} for row in PAST]
    answer = ask(handler, {"sessions": untold, "now": NOW})
    state = State()
    for row in PAST:
        state.fold(Session(row["start"], row["end"], 0, 0))
    features = dict(zip(FEATURES, state.features(NOW), strict=True))
    for name in ("last_plays", "plays", "skipped", "seconds_a_play"):
        assert np.isnan(features[name])
    assert answer["sessions_used"] == 8


def test_a_profile_is_used(handler: Handler) -> None:
    profile = {"gender": "f", "age": 30, "registered_at": "2010-01-01"}
    answer = ask(handler, {"sessions": PAST, "now": NOW, "profile": profile})
    assert answer["sessions_used"] == 8
    with pytest.raises(RequestError, match=r"profile\.gender: must be f or female or w"):
        ask(handler, {"profile": {"gender": "x"}})


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ([], "must be an object such as"),
        ({"session": PAST}, "session: is not known; send user_id, sessions"),
        ({"sessions": {}}, "sessions: must be a list, got an object"),
        ({"sessions": [1]}, r"sessions\[0\]: must be an object with start and end, got 1"),
        ({"sessions": [{"start": 1e9}]}, r"sessions\[0\]\.end: must be a time such as"),
        ({"sessions": [{"start": "soon", "end": 1}]}, r"start: must be a time such as .* 'soon'"),
        ({"sessions": [{"start": 2e9, "end": 1e9}]}, r"end: must be from 0 to 7 days after start"),
        (
            {"sessions": [{**PAST[0], "plays": -1}]},
            r"sessions\[0\]\.plays: must be a number from 0",
        ),
        ({"sessions": [{**PAST[0], "skips": 9}]}, r"sessions\[0\]\.skips: 9 of 6 plays"),
        ({"sessions": PAST, "plays": []}, "send either sessions or plays, not both"),
        ({"sessions": PAST, "now": NOON}, "now: is before the end of the last session or play"),
        ({"plays": [{"track": "x"}]}, r"plays\[0\]\.ended_at: must be a time"),
        ({"now": True}, "now: must be a time"),
        ({"profile": {"gendr": "f"}}, r"profile\.gendr: is not known; send gender, age"),
        ({"profile": {"age": 300}}, r"profile\.age: must be from 5 to 110, got 300"),
        ({"longer_than": [None]}, r"longer_than\[0\]: must be seconds, got nothing"),
        ({"longer_than": "1800"}, "longer_than: must be a list"),
        ({"listeners": [{"sessions": 3}]}, r"listeners\[0\]\.sessions: must be a list, got 3"),
        ({"listeners": [7]}, r"listeners\[0\]\.: must be an object"),
        (
            {"now": NOW, "open_session": {"start": NOW - 60, "end": NOW}},
            r"open_session\.plays: a session that goes on has plays",
        ),
    ],
)
def test_a_wrong_question_is_refused_by_its_field(
    handler: Handler, question: Any, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as refused:
        ask(handler, question)
    assert refused.value.status == 400


def test_too_much_is_413_and_other_forms_415(handler: Handler) -> None:
    with pytest.raises(RequestError) as refused:
        ask(handler, {"sessions": [PAST[0]] * 20_001})
    assert refused.value.status == 413
    with pytest.raises(RequestError) as refused:
        handler.answer(b"a,b", "text/csv", "")
    assert refused.value.status == 415
    with pytest.raises(RequestError) as refused:
        handler.answer(b"{}", JSON, "image/png")
    assert refused.value.status == 406
    with pytest.raises(RequestError, match="line 2: not JSON"):
        handler.answer(b"{}\n{", JSON_LINES, "")
