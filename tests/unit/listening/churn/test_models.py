"""Families: contributions add up, archives give back what was written, damage is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightgbm
import numpy as np
import pytest

from listening.archive import ArchiveWriter, load, write_prior
from listening.churn.bundle import BUNDLE, ChurnBundle, Horizon, Parts
from listening.churn.features import FEATURES, Snapshots
from listening.churn.models import (
    FARTHEST,
    Calibrated,
    Logistic,
    Recency,
    Standard,
    Trees,
    columns,
    probability,
    with_devices,
)
from listening.churn.reasons import MOST, Reasoner, topic_of
from listening.churn.scorer import Scorer
from listening.errors import ArchiveError
from listening.trees import portable
from tests.unit.listening.churn.plain import activity, drawn

if TYPE_CHECKING:
    from pathlib import Path

    from listening.churn.models import Model, Rows

DEVICES = ("car", "phone")
COLUMNS = columns(DEVICES)
WIDTH = len(COLUMNS)
HORIZONS = (3, 14)


def rows() -> Rows:
    known = Snapshots(activity(drawn(5, listeners=60)))
    features = known.features(known.population(17_090), 17_090)
    device = np.arange(len(features)) % 3 - 1
    return with_devices(features, device, len(DEVICES))


def models() -> dict[str, Model]:
    rng, some = np.random.default_rng(1), rows()
    gone = some[:, FEATURES.index("recency")] + rng.normal(0, 3, len(some)) > 8
    settings = {"objective": "binary", "num_leaves": 4, "min_data_in_leaf": 5, "verbosity": -1}
    trees = lightgbm.train(settings | {"num_threads": 1}, lightgbm.Dataset(some, gone), 8)
    return {
        "recency": Recency((1.0, 10.0, 30.0), (-2.0, 0.5, 1.0)),
        "logistic": Logistic(
            Standard.of(some), rng.normal(size=WIDTH), rng.normal(size=WIDTH) / 5, -0.7
        ),
        "trees": Trees(portable(trees.model_to_string()), width=WIDTH),
    }


@pytest.mark.parametrize("family", ["recency", "logistic", "trees"])
def test_contributions_and_a_constant_add_up_to_the_log_odds(family: str) -> None:
    some = rows()
    model = Calibrated(family, models()[family], 0.8, -0.1)
    added = model.contributions(some)
    assert added.shape == (len(some), WIDTH + 1)
    assert added.sum(axis=1) == pytest.approx(model.log_odds(some), abs=1e-6)
    assert np.ptp(added[:, -1]) == pytest.approx(0)
    one = np.ascontiguousarray(some[:1])
    assert model.log_odds(one) == pytest.approx(model.log_odds(some)[:1], abs=1e-9)


@pytest.mark.parametrize("family", ["recency", "logistic", "trees"])
def test_an_archive_gives_back_what_was_written(family: str, tmp_path: Path) -> None:
    model = Calibrated(family, models()[family], 1.2, 0.3)
    writer = ArchiveWriter(tmp_path)
    writer.finish("churn.model", {"model": model.write(writer, "m")})
    archive = load(tmp_path)
    again = Calibrated.read(archive, archive.content["model"], width=WIDTH)
    assert again.family == family
    assert np.array_equal(again.log_odds(rows()), model.log_odds(rows()))
    for damaged in ({}, {"family": "oracle"}, archive.content["model"] | {"slope": "steep"}):
        with pytest.raises(ArchiveError, match="no model in it"):
            Calibrated.read(archive, damaged, width=WIDTH)
    if family != "recency":
        with pytest.raises(ArchiveError):
            Calibrated.read(archive, archive.content["model"], width=WIDTH + 1)


def test_a_column_that_never_varies_says_nothing_and_a_far_value_is_not_farther() -> None:
    some = rows()
    some[:, 3] = 7.0
    standard = Standard.of(some)
    assert (standard.standardised(some)[:, 3] == 0).all()
    far = some[:1].copy()
    far[:, 0] = 1e9
    assert standard.standardised(far).max() == FARTHEST


def test_what_was_never_below_0_in_training_may_be_so_later() -> None:
    some, trend = rows(), FEATURES.index("trend")
    some[:, trend] = np.abs(some[:, trend]) + 1
    standard, later = Standard.of(some), some[:2].copy()
    assert standard.is_log[trend]
    later[:, trend] = -0.5, -3.0
    found = standard.standardised(later)
    assert np.isfinite(found).all()
    assert found[0, trend] == found[1, trend] < standard.standardised(some)[:, trend].min()


def test_devices_become_columns() -> None:
    found = with_devices(np.zeros((3, 2), np.float32), np.array([1, -1, 0]), 2)
    assert found[:, 2:].tolist() == [[0, 1], [0, 0], [1, 0]]


def test_every_column_has_a_topic_and_topics_add_up() -> None:
    reasoner, some = Reasoner(COLUMNS), rows()
    added = np.random.default_rng(2).normal(size=(len(some), WIDTH))
    for row, own in zip(some, added, strict=True):
        told = reasoner.reasons(row, own)
        assert len(told) == MOST
        sizes = [abs(reason.log_odds) for reason in told]
        assert sizes == sorted(sizes, reverse=True)
        topics = dict.fromkeys(map(topic_of, COLUMNS), 0.0)
        for name, value in zip(map(topic_of, COLUMNS), own.tolist(), strict=True):
            topics[name] += value
        assert sizes[0] == pytest.approx(max(map(abs, topics.values())), abs=1e-4)


def test_reasons_are_sentences_of_what_is_the_case() -> None:
    row = np.zeros(WIDTH, np.float32)
    for name, value in {"recency": 9, "mean_gap": 2, "plays_30": 1}.items():
        row[FEATURES.index(name)] = value
    added = np.zeros(WIDTH)
    added[FEATURES.index("recency")], added[FEATURES.index("plays_30")] = 1.8, -0.2
    told = Reasoner(COLUMNS).reasons(row, added)
    assert [str(reason) for reason in told] == [
        "last active 9 days ago, usually every 2: +1.8",
        "1 play in 30 days, 0 in the last 7: -0.2",
    ]
    row[FEATURES.index("recency")] = 91
    assert Reasoner(COLUMNS).reasons(row, added)[0].text == "not active in 90 days"
    added[-1], row[-1] = 5.0, 1.0
    assert Reasoner(COLUMNS).reasons(row, added)[0].text == "device phone"
    row[-1] = 0.0
    assert Reasoner(COLUMNS).reasons(row, added)[0].text == "another device"


def test_all_topics_together_are_all_contributions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listening.churn.reasons.MOST", len(COLUMNS))
    reasoner, some = Reasoner(COLUMNS), rows()
    for family, model in models().items():
        added = model.contributions(some)[:, :-1]
        for row, own in zip(some, added, strict=True):
            told = reasoner.reasons(row, own)
            assert sum(reason.log_odds for reason in told) == pytest.approx(own.sum(), abs=1e-3)
            assert family != "recency" or len(told) == 1


def test_what_rounds_to_nothing_is_no_reason() -> None:
    added = np.zeros(WIDTH)
    added[FEATURES.index("recency")], added[FEATURES.index("trend")] = 0.3, -4e-5
    (told,) = Reasoner(COLUMNS).reasons(rows()[0], added)
    assert told.log_odds == 0.3
    assert Reasoner(COLUMNS).reasons(rows()[0], np.zeros(WIDTH)) == []


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ("recency", {"recency": 1, "mean_gap": 91}, "last active a day ago"),
        ("recency", {"recency": 91, "mean_gap": 2}, "not active in 90 days"),
        (
            "recency",
            {"recency": 90, "mean_gap": 3.26},
            "last active 90 days ago, usually every 3.3",
        ),
        ("recency_searches", {"recency_searches": 91}, "no search in 90 days"),
        ("searches_3", {"recency_searches": 1}, "last search a day ago"),
        ("downloads_1", {"recency_downloads": 12}, "last download 12 days ago"),
        ("full_share", {"seconds_30": 5400}, "1.5 hours heard in 30 days, 0% of plays skipped"),
        ("mean_gap", {"mean_gap": 91, "longest_gap": 91}, "no silence known yet"),
        ("gaps_of_3", {"mean_gap": 40, "longest_gap": 120}, "longest silence so far 120 days"),
        (
            "gaps_of_3",
            {"mean_gap": 120, "longest_gap": 120, "gaps_of_14": 0.3},
            "longest silence so far 120 days",
        ),
        (
            "trend",
            {"active_30": 2, "active_90": 9},
            "active on 2 of the last 30 days, on 7 of the 60 before",
        ),
        ("age", {"age": 91, "life_rate": 0.254}, "known for over 90 days, active on 25% of all"),
        ("life_rate", {"age": 1, "life_rate": 1}, "known for a day, active on 100% of all"),
        ("plays_7", {"plays_30": 12_345, "plays_7": 1}, "12,345 plays in 30 days, 1 in the last 7"),
    ],
)
def test_each_topic_tells_what_is_the_case(
    column: str, values: dict[str, float], text: str
) -> None:
    row, added = np.zeros(WIDTH, np.float32), np.zeros(WIDTH)
    for name, value in values.items():
        row[FEATURES.index(name)] = value
    added[FEATURES.index(column)] = 1.0
    (told,) = Reasoner(COLUMNS).reasons(row, added)
    assert told.text == text


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    own = models()
    # The longer horizon alone would say more than the shorter one.
    parts = Parts(
        horizons=tuple(
            Horizon(
                days,
                Calibrated("logistic", own["logistic"], 1.0, days / 3),
                Calibrated("recency", own["recency"], 1.0, days / 3),
                0.3,
                tuple(np.linspace(0.9, 0.1, 9).tolist()),
            )
            for days in HORIZONS
        ),
        devices=DEVICES,
        bots_above=1_000.0,
    )
    writer = ArchiveWriter(folder)
    writer.finish(BUNDLE, parts.write(writer), check=ChurnBundle)
    return folder


def test_who_is_gone_longer_was_gone_before(bundle: Path) -> None:
    found = ChurnBundle(load(bundle))
    risks = found.risks(rows())
    assert (risks.probability[:, 1] <= risks.probability[:, 0]).all()
    alone = probability(found.horizons[0].recency.log_odds(rows()))
    assert risks.recency_alone.T.tolist() == [alone.tolist()] * 2
    own = probability(found.horizons[0].model.log_odds(rows()))
    assert risks.probability[:, 0] == pytest.approx(own)
    expected = [
        1 + sum(bound > p for bound in found.horizons[1].tenths) for p in risks.probability[:, 1]
    ]
    assert risks.tenth[:, 1].tolist() == expected


def test_a_bundle_of_other_features_is_refused(bundle: Path, tmp_path: Path) -> None:
    archive = load(bundle)
    archive.content["features"] = ["another"]
    with pytest.raises(ArchiveError, match="other features"):
        ChurnBundle(archive)
    write_prior(tmp_path, system="churn")
    with pytest.raises(ArchiveError, match="expected a churn.bundle"):
        ChurnBundle(load(tmp_path))


BAD = [None, [], {}, "x", [None], ["a"], [1.0], [[1]]]


@pytest.mark.parametrize("horizon", ["days", "model", "recency", "base_rate", "tenths"])
@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_damaged_horizon_is_refused(bundle: Path, horizon: str, bad: object) -> None:
    archive = load(bundle)
    archive.content["horizons"][0][horizon] = bad
    with pytest.raises(ArchiveError, match="manifest.json: "):
        ChurnBundle(archive)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        *(("model", name) for name in ("family", "table", "intercept", "slope", "shift")),
        *(("recency", name) for name in ("family", "days", "odds", "slope", "shift")),
    ],
)
@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_damaged_model_is_refused(bundle: Path, family: str, name: str, bad: object) -> None:
    archive = load(bundle)
    archive.content["horizons"][1][family][name] = bad
    with pytest.raises(ArchiveError):
        ChurnBundle(archive)


@pytest.mark.parametrize("name", ["features", "devices", "bots_above", "horizons"])
@pytest.mark.parametrize("bad", [None, "x", [None], {}], ids=repr)
def test_damaged_content_is_refused(bundle: Path, name: str, bad: object) -> None:
    archive = load(bundle)
    archive.content[name] = bad
    with pytest.raises(ArchiveError):
        ChurnBundle(archive)
    del archive.content[name]
    with pytest.raises(ArchiveError):
        ChurnBundle(archive)


def test_horizons_must_rise_and_recencys_days_too(bundle: Path) -> None:
    archive = load(bundle)
    archive.content["horizons"].reverse()
    with pytest.raises(ArchiveError, match=r"horizons \[14, 3\] must rise"):
        ChurnBundle(archive)
    archive.content["horizons"][0]["days"] = np.inf
    with pytest.raises(ArchiveError, match="no horizon in it"):
        ChurnBundle(archive)
    archive = load(bundle)
    archive.content["horizons"][0]["recency"] |= {"days": [1.0, 30.0, 30.0]}
    with pytest.raises(ArchiveError, match=r"days \[1.0, 30.0, 30.0\] must rise"):
        ChurnBundle(archive)


def test_a_tenth_is_one_more_than_the_bounds_above_the_risk(bundle: Path) -> None:
    some = rows()
    row = np.ascontiguousarray(some[:1])
    archive = load(bundle)
    risk = float(ChurnBundle(archive).risks(row).probability[0, 0])
    for above in range(10):
        archive.content["horizons"][0]["tenths"] = [1.0] * above + [risk] * (9 - above)
        assert ChurnBundle(archive).risks(row).tenth[0, 0] == above + 1


def test_a_scorer_knows_devices_by_name_and_bots_by_their_plays(bundle: Path) -> None:
    listeners = drawn(5, listeners=30)
    days = activity(listeners)
    object.__setattr__(days, "device", np.arange(len(days.day)) % 4 - 1)
    known, scorer = Snapshots(days), Scorer(load(bundle))
    owner, names = known.population(17_090), ["toaster", "phone", "car"]
    scored = scorer.score(known, owner, 17_090, names)
    features = known.features(owner, 17_090)
    assert np.array_equal(scored.rows[:, : len(FEATURES)], features)
    used = [[*names, None][place] for place in known.device(owner, 17_090)]
    assert {"toaster", "phone", "car"} <= set(used)
    expected = [[float(name == device) for device in DEVICES] for name in used]
    assert scored.rows[:, len(FEATURES) :].tolist() == expected
    plays = features[:, FEATURES.index("plays_30")]
    assert not scored.is_bot.any()
    content = scorer.archive.content | {"bots_above": float(np.median(plays))}
    scorer.archive.content.update(content)
    strict = Scorer(scorer.archive).score(known, owner, 17_090, names)
    assert strict.is_bot.tolist() == (plays > np.median(plays)).tolist()
    assert 0 < strict.is_bot.sum() < len(owner)
    assert np.array_equal(strict.risks.probability, scored.risks.probability)
    assert scorer.days == HORIZONS
    assert scorer.base_rates == (0.3, 0.3)
    assert not scorer.is_prior
    reasons = scorer.reasons(scored.rows, 14)
    assert [len(own) for own in reasons] == [MOST] * len(owner)


@pytest.mark.parametrize("family", ["recency", "logistic", "trees"])
def test_nobody_is_answered_with_nothing(family: str) -> None:
    nobody = np.ascontiguousarray(rows()[:0])
    model = models()[family]
    assert model.log_odds(nobody).shape == (0,)
    assert model.contributions(nobody).shape == (0, WIDTH + 1)


def test_before_training_a_silence_goes_on_for_as_long_with_even_odds(tmp_path: Path) -> None:
    write_prior(tmp_path, system="churn")
    scorer = Scorer(load(tmp_path))
    listeners = drawn(5, listeners=8)
    known = Snapshots(activity(listeners))
    owner = known.population(17_090)
    scored = scorer.score(known, owner, 17_090, [])
    recency = known.features(owner, 17_090)[:, FEATURES.index("recency")]
    assert scored.risks.probability[:, 0] == pytest.approx(recency / (recency + scorer.days[0]))
    assert scorer.is_prior
    assert scorer.reasons(scored.rows, 14) == [[] for _ in owner]
