"""The published recipe: its features, its loop over rows, its slips, on a few invented sessions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import sessions_recipe as recipe
from benchmarks.sessions_recipe import FittedRecipe
from listening.errors import DataError

HALF_AN_HOUR = 30 * 60


@pytest.fixture
def frame() -> pd.DataFrame:
    """Return two listeners' sessions, the second without a profile."""
    return pd.DataFrame(
        {
            "listener": [4, 4, 4, 7, 7],
            "start": [100.0, 10_000.0, 20_000.0, 500.0, 9_000.0],
            "length": [60.9, 100.0, 200.0, 30.0, 40.0],
            "gender": [1, 1, 1, -1, -1],
            "age": [30.0, 30.0, 30.0, np.nan, np.nan],
            "country": [2, 2, 2, 0, 0],
            "registered": [50.0, 50.0, 50.0, np.nan, np.nan],
            "part": ["train", "train", "test", "train", "test"],
        },
        index=[9, 8, 7, 6, 5],
    )


def invented(listeners: int, sessions: int, *, seed: int = 0) -> pd.DataFrame:
    """Return sessions whose lengths are those of their listener, more or less."""
    rng = np.random.default_rng(seed)
    listener = np.repeat(np.arange(listeners), sessions)
    frame = pd.DataFrame(
        {
            "listener": listener,
            "start": 1.6e9 + np.tile(np.arange(sessions) * 86_400.0, listeners) + listener,
            "length": 600 * (1 + listener) * rng.lognormal(0, 0.1, len(listener)),
        }
    )
    return recipe.with_parts(recipe.without_profiles(frame))


@pytest.fixture
def means_answer(monkeypatch) -> list[int]:
    """Let the mean so far be each model's answer; return the rows of each training."""
    trained: list[int] = []
    place = recipe.FEATURES.index("mean")

    def fit(train, validation=None, *, epochs, seed):
        trained.append(len(train.y))
        return FittedRecipe(lambda x: x[:, place], {"train": [], "validation": []})

    monkeypatch.setattr(recipe, "fit_recipe", fit)
    return trained


def test_features_are_the_published_ones_and_know_earlier_sessions_alone(frame):
    table = recipe.published_features(frame)
    assert tuple(table.columns) == recipe.FEATURES
    assert table.index.tolist() == frame.index.tolist()
    assert table["session"].tolist() == [1, 2, 3, 1, 2]
    assert table["previous"].tolist() == [0, 60, 100, 0, 30]
    assert table["mean"].tolist() == [0, 60.9, 80.45, 0, 30]
    assert table["age"].tolist() == [30, 30, 30, -1, -1]
    assert table["registered"].tolist() == [50, 50, 50, 0, 0]
    later = frame.assign(length=[60.9, 100, 9_999, 30, 40])
    assert recipe.published_features(later).equals(table)


def test_a_session_ends_after_a_pause_from_the_latest_end_so_far():
    plays = pd.DataFrame(
        {
            # the long first play is still on when the second one has ended
            "user": [1, 1, 1, 1, 0],
            "start": [0.0, 10.0, 3_000.0, 10_000.0, 77.0],
            "length": [2_000.0, 20.0, 100.0, 50.0, 5.0],
        }
    )
    found = recipe.sessions_of(plays.sample(frac=1, random_state=1))
    assert found["listener"].tolist() == [0, 1, 1]
    assert found["start"].tolist() == [77, 0, 10_000]
    assert found["length"].tolist() == [5, 3_100, 50]
    assert found["plays"].tolist() == [1, 3, 1]
    exactly = plays.assign(start=[0.0, 10.0, 2_000.0 + HALF_AN_HOUR, 10_000.0, 77.0])
    assert len(recipe.sessions_of(exactly)) == 3
    assert recipe.sessions_of(plays[:0]).empty


def test_the_loop_makes_what_the_notebooks_make():
    plays = pd.DataFrame(
        {
            "user": 3,
            # from 200 to 5,000 is a pause after its end, from 5,050 to 9,000 after its start
            "start": [0.0, 200.0, 5_000.0, 5_050.0, 9_000.0, 9_030.0],
            "length": [180.0, 240.9, 60.0, np.nan, 60.0, 60.0],
        }
    )
    found = recipe.published_loop(plays)
    assert found["start"].tolist() == [0, 5_000, 9_000]
    assert found["length"].tolist() == [440, 50, 30]  # the last session lacks its last play
    assert found["session"].tolist() == [1, 2, 3]
    assert found["previous"].tolist() == [0, 440, 50]
    assert found["mean"].tolist() == [0, 440.9, 245.45]


def test_the_loop_and_columns_agree_where_plays_follow_each_other():
    rng = np.random.default_rng(2)
    pauses = np.where(rng.random(400) < 0.2, 4_000, rng.integers(0, 60, 400))
    length = rng.integers(100, 300, 400).astype(float)
    start = np.cumsum(pauses + np.append(0, length[:-1]))
    plays = pd.DataFrame({"user": np.repeat([0, 1], 200), "start": start, "length": length})
    columns = recipe.sessions_of(plays)
    loop = recipe.published_loop(plays)
    # a listener's last session is what the loop does not finish
    finished = loop.groupby("listener").head(-1).merge(columns, on=["listener", "start"])
    assert len(finished) > 50
    assert (finished["length_x"] == finished["length_y"]).all()
    features = recipe.published_features(recipe.without_profiles(columns))
    both = loop.merge(features, on=["listener", "start"])
    assert both["previous_x"].tolist() == both["previous_y"].tolist()
    assert both["mean_x"].tolist() == pytest.approx(both["mean_y"].tolist(), abs=0.011)


def test_parts_are_in_order_of_time():
    frame = invented(3, 20)
    assert frame["part"].value_counts().to_dict() == {"train": 36, "test": 15, "validation": 9}
    first = frame[frame["listener"] == 0]["part"].tolist()
    assert first == ["train"] * 12 + ["validation"] * 3 + ["test"] * 5


def test_the_recipes_listeners_have_plays_sessions_and_no_endless_ones():
    frame = pd.concat(
        [
            invented(2, 31).assign(plays=20),
            invented(1, 30).assign(listener=5, plays=20),
            invented(1, 31).assign(listener=6, plays=2),
            invented(1, 31).assign(listener=7, plays=20, length=20_000.0),
        ]
    )
    kept = recipe.of_the_recipes_listeners(frame)
    assert set(frame["listener"][kept]) == {0, 1}
    without_plays = recipe.of_the_recipes_listeners(frame.drop(columns="plays"))
    assert set(frame["listener"][without_plays]) == {0, 1, 6}


def test_answers_are_in_the_order_of_the_frames_test_rows(frame, means_answer):
    assert recipe.predict_recipe(frame).tolist() == [80.45, 30]
    assert means_answer == [3]
    assert np.isnan(recipe.predict_recipe(frame, published_filter=True)).all()


@pytest.mark.usefixtures("means_answer")
def test_answers_by_cluster_come_back_to_seconds():
    frame = invented(8, 40)
    table = recipe.published_features(frame).assign(length=frame["length"], part=frame["part"])
    expected = pd.Series(index=table.index[table["part"] == "test"], dtype=float)
    for listeners in recipe.clusters_of(frame[frame["part"] == "train"], seed=0):
        own = table[table["listener"].isin(listeners)]
        train, test = (own[own["part"] == part] for part in ("train", "test"))
        mean = (test["mean"] - train["mean"].mean()) / train["mean"].std(ddof=0)
        expected[test.index] = train["length"].mean() + train["length"].std(ddof=0) * mean
    answers = recipe.predict_recipe_by_cluster(frame, smallest=0, epochs=1)
    assert (answers.pooled_rows, answers.left_out, sum(answers.listeners)) == (0, 0, 8)
    assert answers.seconds == pytest.approx(expected.to_numpy())


def test_the_one_model_answers_for_clusters_that_are_too_small(means_answer):
    frame = invented(8, 40)
    answers = recipe.predict_recipe_by_cluster(frame)
    assert answers.left_out == len(answers.listeners) == recipe.CLUSTERS
    assert answers.pooled_rows == 80
    assert np.array_equal(answers.seconds, recipe.predict_recipe(frame))
    assert len(means_answer) == 2
    given = np.arange(80.0)
    assert np.array_equal(recipe.predict_recipe_by_cluster(frame, pooled=given).seconds, given)


def test_the_join_gives_each_listeners_ith_session_the_ith_of_all():
    table = recipe.published_features(invented(2, 3)).assign(length=[1.0, 2, 3, 4, 5, 6])
    moved = recipe.misaligned(table, recipe._scale(table))
    standardised = (np.arange(1, 7) - 3.5) / np.arange(1, 7).std()
    assert moved["length"].tolist() == pytest.approx([*standardised[:3], *standardised[:3]])
    assert moved["start"].equals(table["start"])


@pytest.mark.usefixtures("means_answer")
def test_the_published_figure_is_not_the_right_one():
    frame = invented(8, 40)
    figures = recipe.published_normalised_mae(frame, smallest=0, epochs=1)
    assert figures.rows == 80
    assert figures.mae / figures.baseline == figures.right
    mean = frame[frame["part"] == "train"].groupby("listener")["length"].mean()
    test = frame[frame["part"] == "test"]
    expected = (test["length"] - test["listener"].map(mean)).abs().mean()
    assert figures.baseline == pytest.approx(expected)
    assert abs(figures.published - figures.right) > 0.1
    with pytest.raises(DataError, match="smallest"):
        recipe.published_normalised_mae(frame)


def test_the_running_median_is_of_earlier_sessions(frame):
    found = recipe.running_median(frame)
    assert np.isnan(found[[0, 3]]).all()
    assert found[[1, 2, 4]].tolist() == pytest.approx([60.9, 80.45, 30])


@pytest.mark.parametrize(("listeners", "epochs"), [(500, 100), (300, 350), (80, 400), (31, 500)])
def test_epochs_go_by_the_size_of_the_cluster(listeners, epochs):
    assert recipe.epochs_by_size(listeners) == epochs


def test_keras_trains_it(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for name in ("jax", "keras"):
        pytest.importorskip(name, reason="they are in requirements/recurrent.txt alone")
    frame = invented(3, 40)
    fitted = recipe.fit_pooled(frame, epochs=2)
    assert [len(losses) for losses in fitted.curve.values()] == [2, 2]
    answers = recipe.predict_recipe(frame, fitted=fitted)
    assert answers.shape == (30,)
    assert np.isfinite(answers).all()
