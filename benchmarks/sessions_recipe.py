"""The published recipe for session length: ``python benchmarks/sessions_recipe.py --plays FILE``.

An LSTM of 250 over *one* time step of raw numbers, by absolute error, Adam, batches of 400 in order
of time (not shuffled), the weights of the last epoch; then a model per cluster of listeners, with
'mixed standardisation'. It is rebuilt here from its public notebooks, its slips included where a
function says so, and judged in seconds beside what needs no model. Needs what
``requirements/recurrent.txt`` locks, beside the project's own environment.

What became of its epochs on the developers' log is told at `EPOCHS`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from listening.errors import DataError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

FEATURES = (
    "start",
    "listener",
    "session",
    "gender",
    "age",
    "country",
    "registered",
    "previous",
    "mean",
)
"""The recipe's inputs, in its order."""
SCALED = ("previous", "mean", "length")
"""What it standardises, where it does."""
UNKNOWN_AGE = -1
UNKNOWN_REGISTERED = 0
GAP = 30 * 60  # half an hour

UNITS = 250
BATCH = 400
EPOCHS = 150
"""As published.

On the developers' log (107 listeners without profiles, 66,576 training sessions, 167 batches) the
validation error falls by 8 s an epoch, from 3,193 to 2,570 at 150, and no more from 242 on (2,517).
All that is learned is one length for all sessions, 1,256 s at 150 and 1,829 at 260, on its way to
the training median of 1,861: raw epochs saturate every gate. Standardised clusters, whose epochs
are raw too, come to one length each within 15 (2,581 s on test; 2,581 after 60).
"""
CLUSTERS = 5
SMALLEST_CLUSTER = 30
"""Clusters of so many listeners or fewer get no model."""
LARGEST_STANDARDISED = 200
"""Clusters of so many listeners or fewer are standardised."""
PARTS = {"train": 0.6, "validation": 0.15, "test": 0.25}


def epochs_by_size(listeners: int) -> int:
    """Return the epochs that the recipe gives a cluster of so many listeners."""
    for more_than, epochs in ((400, 100), (200, 350), (75, 400)):
        if listeners > more_than:
            return epochs
    return 500


def sessions_of(plays: pd.DataFrame, *, gap: float = GAP) -> pd.DataFrame:
    """Return sessions of plays: a pause of more than ``gap`` seconds after the latest end so far.

    Parameters
    ----------
    plays
        ``user`` (int), ``start`` (epoch seconds), ``length`` (seconds).
    gap
        Seconds.

    Returns
    -------
    pandas.DataFrame
        ``listener``, ``start``, ``length`` (last end minus first start, seconds) and ``plays``, in
        order of time per listener.
    """
    ordered = plays.sort_values(["user", "start"], kind="stable")
    user, start = ordered["user"].to_numpy(), ordered["start"].to_numpy(float)
    end = pd.Series(start + ordered["length"].to_numpy(float))
    latest = end.groupby(user).cummax().to_numpy()
    begins = np.ones(len(user), dtype=bool)
    begins[1:] = (user[1:] != user[:-1]) | (start[1:] - latest[:-1] > gap)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(user))[: len(first)] - 1
    return pd.DataFrame(
        {
            "listener": user[first],
            "start": start[first],
            "length": latest[last] - start[first],
            "plays": last - first + 1,
        }
    )


def with_parts(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return sessions with ``part``: the first of a listener train, the last ones test."""
    place = sessions.groupby("listener").cumcount()
    share = (place + 0.5) / sessions.groupby("listener")["start"].transform("size")
    edges = np.cumsum(list(PARTS.values()))[:-1]
    return sessions.assign(part=np.array(list(PARTS))[np.searchsorted(edges, share)])


def without_profiles(sessions: pd.DataFrame) -> pd.DataFrame:
    """Return sessions with the profile's columns as those of listeners of whom nothing is known."""
    return sessions.assign(gender=-1, age=np.nan, country=0, registered=np.nan)


def published_features(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the recipe's raw inputs, one row a session, the index that of the frame.

    Unknown ages are -1 and unknown dates 0, as the notebooks fill them; the previous length is cut
    to whole seconds and the mean of earlier sessions rounded to hundredths; both are 0 at first.

    Parameters
    ----------
    frame
        Sessions in order of time per listener: ``listener`` (int), ``start`` (epoch seconds),
        ``length`` (seconds), ``gender`` (1, 0, -1), ``age`` (NaN if unknown), ``country`` (int),
        ``registered`` (epoch seconds, NaN if unknown).
    """
    length = frame["length"].groupby(frame["listener"])
    session = length.cumcount() + 1
    before = length.cumsum() - frame["length"]
    return pd.DataFrame(
        {
            "start": frame["start"],
            "listener": frame["listener"],
            "session": session,
            "gender": frame["gender"],
            "age": frame["age"].fillna(UNKNOWN_AGE),
            "country": frame["country"],
            "registered": frame["registered"].fillna(UNKNOWN_REGISTERED),
            "previous": np.trunc(length.shift(1).fillna(0)),
            "mean": (before / (session - 1).clip(lower=1)).round(2),
        }
    )


def published_loop(plays: pd.DataFrame) -> pd.DataFrame:
    """Return sessions and their features as the recipe makes them: row by row in Python.

    Its rules, which are not those of `sessions_of`: a session ends where the *next* play starts
    more than `GAP` after the end of the last one (after its start, where its length is 0 or
    unknown), even if an earlier one is still playing; it grows by the time from start to start; the
    last session of a listener lacks its last play. The notebooks also parse each row's dates,
    which is left out here.

    Parameters
    ----------
    plays
        ``user`` (int), ``start`` (epoch seconds), ``length`` (seconds; 0 or NaN if unknown).

    Returns
    -------
    pandas.DataFrame
        ``listener``, ``start``, ``session``, ``previous``, ``mean``, ``length``.
    """
    found = []
    for user, own in plays.groupby("user"):
        session, lasted, previous, total = 1, 0.0, 0.0, 0.0
        began: float | None = None
        row: tuple[Any, ...] | None = None
        before: pd.Series | None = None
        for _, play in own.sort_values("start", kind="stable").iterrows():
            if before is None:
                began, before = play["start"], play
                continue
            since = play["start"] - before["start"]
            track = before["length"] if before["length"] > 0 else 0.0
            ends = since - track > GAP
            if not ends:
                lasted += since
            else:
                lasted += track
            mean = round(total / (session - 1), 2) if session > 1 else 0.0
            row = (user, began, session, int(previous), mean, int(lasted))
            before = play
            if ends:
                found.append(row)
                row = None
                total, previous = total + lasted, lasted
                session, lasted, began = session + 1, 0.0, play["start"]
        if row is not None:
            found.append(row)
    return pd.DataFrame(
        found, columns=["listener", "start", "session", "previous", "mean", "length"]
    )


def of_the_recipes_listeners(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows are of listeners that the recipe keeps, ``(n,)``.

    More than 500 plays (where the frame has a column ``plays``), more than 30 sessions and a mean
    length under 20,000 seconds, over all parts, as published.
    """
    by = frame.groupby("listener")["length"]
    kept = (by.transform("size") > 30) & (by.transform("mean") < 20_000)
    if "plays" in frame:
        kept &= frame.groupby("listener")["plays"].transform("sum") > 500
    return kept.to_numpy(dtype=bool)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Inputs ``(n, 9)`` and targets ``(n,)``, as a model gets them."""

    x: FloatArray
    y: FloatArray


@dataclass(frozen=True, eq=False)
class FittedRecipe:
    """A trained LSTM.

    Parameters
    ----------
    answer
        From inputs ``(n, 9)`` to lengths ``(n,)``, in the unit of the targets.
    curve
        Mean absolute error by epoch of ``train`` and ``validation``, in that unit.
    """

    answer: Callable[[FloatArray], FloatArray]
    curve: dict[str, list[float]]


def fit_recipe(
    train: _Rows, validation: _Rows | None = None, *, epochs: int, seed: int
) -> FittedRecipe:
    """Train the recipe's LSTM on rows in order of time.

    Raises
    ------
    DataError
        Keras is not installed.
    """
    from sessions.recurrent_fit import load_keras  # noqa: PLC0415 - features need no keras

    keras = load_keras()
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.layers.Input((1, train.x.shape[1])),
            keras.layers.LSTM(UNITS, unroll=True),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mae", optimizer="adam")
    held_out = None if validation is None else (_one_step(validation.x), validation.y)
    history = model.fit(
        _one_step(train.x),
        train.y,
        validation_data=held_out,
        epochs=epochs,
        batch_size=BATCH,
        validation_batch_size=4_096,
        shuffle=False,
        verbose=0,
    ).history

    def answer(x: FloatArray) -> FloatArray:
        answers = model.predict(_one_step(x), batch_size=4_096, verbose=0)
        return np.asarray(answers, dtype=float)[:, 0]

    return FittedRecipe(
        answer, {"train": history["loss"], "validation": history.get("val_loss", [])}
    )


def _one_step(x: FloatArray) -> npt.NDArray[np.float32]:
    return x.astype(np.float32)[:, None, :]


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A frame's inputs and parts."""

    table: pd.DataFrame
    part: npt.NDArray[np.str_]
    kept: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, frame: pd.DataFrame, *, published_filter: bool) -> _Prepared:
        table = published_features(frame).assign(length=frame["length"]).reset_index(drop=True)
        kept = np.ones(len(frame), dtype=bool)
        if published_filter:
            kept = of_the_recipes_listeners(frame)
        return cls(table, frame["part"].to_numpy(dtype=str), kept)

    def of_part(
        self, part: str, listeners: npt.NDArray[np.integer[Any]] | None = None
    ) -> pd.DataFrame:
        """Return the kept rows of a part in order of time."""
        chosen = self.kept & (self.part == part)
        if listeners is not None:
            chosen &= self.table["listener"].isin(listeners).to_numpy()
        rows: pd.DataFrame = self.table[chosen].sort_values("start", kind="stable")
        return rows

    def test_rows(self, table: pd.DataFrame) -> npt.NDArray[np.intp]:
        """Return the places of a part's rows among all test rows."""
        places = np.cumsum(self.part == "test") - 1
        return places[table.index]

    @property
    def n_test(self) -> int:
        return int((self.part == "test").sum())


def _rows(table: pd.DataFrame) -> _Rows:
    return _Rows(table[list(FEATURES)].to_numpy(float), table["length"].to_numpy(float))


def fit_pooled(
    frame: pd.DataFrame, *, epochs: int = EPOCHS, seed: int = 0, published_filter: bool = False
) -> FittedRecipe:
    """Train one model on all listeners' raw inputs, and watch validation by epoch."""
    prepared = _Prepared.of(frame, published_filter=published_filter)
    parts = (_rows(prepared.of_part(part)) for part in ("train", "validation"))
    return fit_recipe(*parts, epochs=epochs, seed=seed)


def predict_recipe(
    frame: pd.DataFrame,
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
    published_filter: bool = False,
    fitted: FittedRecipe | None = None,
) -> FloatArray:
    """Return the one model's lengths of the test rows ``(n_test,)``, in seconds.

    Parameters
    ----------
    frame
        As `published_features` takes it, and ``part``: ``train``, ``validation`` or ``test``.
    epochs
        All are trained; the last one's weights answer.
    seed
        Decides the first weights.
    published_filter
        Whether to leave out the listeners that the recipe leaves out; their answers are NaN.
    fitted
        What `fit_pooled` made of the same frame, where it is there already.

    Raises
    ------
    DataError
        Keras is not installed.
    """
    fitted = fitted or fit_pooled(
        frame, epochs=epochs, seed=seed, published_filter=published_filter
    )
    prepared = _Prepared.of(frame, published_filter=published_filter)
    test = prepared.of_part("test")
    answers = np.full(prepared.n_test, np.nan)
    answers[prepared.test_rows(test)] = fitted.answer(_rows(test).x)
    return answers


@dataclass(frozen=True, eq=False)
class ByCluster:
    """What the models by cluster answered.

    Parameters
    ----------
    seconds
        Lengths of the test rows, ``(n_test,)``.
    listeners
        Training listeners of each cluster.
    left_out
        Clusters that were too small for a model.
    pooled_rows
        Test rows that the one model answered, since their cluster has none.
    """

    seconds: FloatArray
    listeners: tuple[int, ...]
    left_out: int
    pooled_rows: int


def clusters_of(
    train: pd.DataFrame, *, seed: int, clusters: int = CLUSTERS
) -> list[npt.NDArray[np.int64]]:
    """Return the listeners of each cluster: k-means on their number and mean length, both raw.

    As published but for the mean, which is that of training sessions here, of all there.
    """
    mean = train.groupby("listener")["length"].mean()
    points = np.column_stack([mean.index.to_numpy(float), mean.to_numpy()])
    found = KMeans(min(clusters, len(points)), n_init=1, random_state=seed).fit_predict(points)
    return [mean.index.to_numpy()[found == i] for i in range(found.max() + 1)]


def predict_recipe_by_cluster(  # noqa: PLR0913 - the recipe's knobs
    frame: pd.DataFrame,
    *,
    epochs: int | None = None,
    seed: int = 0,
    smallest: int = SMALLEST_CLUSTER,
    published_filter: bool = False,
    pooled: FloatArray | None = None,
) -> ByCluster:
    """Return the lengths of the test rows by a model per cluster, its standardisation mended.

    Clusters of at most `LARGEST_STANDARDISED` listeners are standardised by their own training
    sessions ('mixed standardisation'), and their answers brought back to seconds. Those of
    ``smallest`` listeners or fewer have no model; the recipe leaves them out of its figures, here
    the one model over all answers for them, so that every test row has an answer. Among some 100
    listeners that can be all of them: `ByCluster.pooled_rows` says how many rows that were.

    Parameters
    ----------
    frame
        As `predict_recipe` takes it.
    epochs
        Of each model; None for those of `epochs_by_size`.
    seed
        Decides clusters and first weights.
    smallest
        Listeners that a cluster must exceed.
    published_filter
        As in `predict_recipe`.
    pooled
        What `predict_recipe` answered on the same frame, where it is there already.

    Raises
    ------
    DataError
        Keras is not installed.
    """
    prepared = _Prepared.of(frame, published_filter=published_filter)
    groups = clusters_of(prepared.of_part("train"), seed=seed)
    seconds = np.full(prepared.n_test, np.nan)
    answered = np.zeros(prepared.n_test, dtype=bool)
    for listeners in groups:
        if len(listeners) <= smallest:
            continue
        train, test = (prepared.of_part(part, listeners) for part in ("train", "test"))
        scale = _scale(train) if len(listeners) <= LARGEST_STANDARDISED else None
        fitted = fit_recipe(
            _rows(_scaled(train, scale)), epochs=epochs or epochs_by_size(len(listeners)), seed=seed
        )
        places = prepared.test_rows(test)
        seconds[places] = _seconds(fitted.answer(_rows(_scaled(test, scale)).x), scale)
        answered[places] = True
    rest = np.zeros(prepared.n_test, dtype=bool)
    rest[prepared.test_rows(prepared.of_part("test"))] = True
    rest &= ~answered
    if rest.any():
        if pooled is None:
            pooled = predict_recipe(
                frame, epochs=epochs or EPOCHS, seed=seed, published_filter=published_filter
            )
        seconds[rest] = pooled[rest]
    return ByCluster(
        seconds=seconds,
        listeners=tuple(len(listeners) for listeners in groups),
        left_out=sum(len(listeners) <= smallest for listeners in groups),
        pooled_rows=int(rest.sum()),
    )


def _scale(train: pd.DataFrame) -> StandardScaler:
    return StandardScaler().fit(train[list(SCALED)].to_numpy(float))


def _scaled(table: pd.DataFrame, scale: StandardScaler | None) -> pd.DataFrame:
    if scale is None:
        return table
    values = scale.transform(table[list(SCALED)].to_numpy(float))
    return table.assign(**dict(zip(SCALED, values.T, strict=True)))


def _seconds(answers: FloatArray, scale: StandardScaler | None) -> FloatArray:
    if scale is None:
        return answers
    seconds: FloatArray = answers * scale.scale_[-1] + scale.mean_[-1]
    return seconds


def misaligned(table: pd.DataFrame, scale: StandardScaler) -> pd.DataFrame:
    """Return a standardised table as the recipe joins it, its slip included.

    The notebooks put the files of all listeners below each other, each row with its number *within
    its listener's file*, and sort by time; the standardised columns are numbered anew from 0 and
    joined on that number. So the row that is a listener's i-th gets the previous length, the mean
    and the *target* of the i-th row of all: the same for all listeners, and not theirs.
    """
    fresh = _scaled(table, scale)[list(SCALED)].reset_index(drop=True)
    within = table.groupby("listener")["session"].rank(method="first").astype(int) - 1
    moved = fresh.iloc[within.to_numpy()].set_axis(table.index)
    return table.drop(columns=list(SCALED)).join(moved)


@dataclass(frozen=True, kw_only=True)
class NormalisedMae:
    """The recipe's normalised error, as it is reckoned there and as it should be.

    Parameters
    ----------
    published
        The error on moved targets in each cluster's own scale, over the baseline's error on other
        moved targets in the scale of all; weighted by test rows.
    right
        The error of the very same answers in seconds, on the rows' own lengths, over that of each
        listener's training mean on the same rows.
    mae, baseline
        Both errors of ``right``, in seconds.
    baseline_standardised
        The denominator of ``published``; 0.754 and 0.766 there.
    clusters
        Listeners of the clusters that have a model.
    rows
        Test rows of these.
    """

    published: float
    right: float
    mae: float
    baseline: float
    baseline_standardised: float
    clusters: tuple[int, ...]
    rows: int


def published_normalised_mae(
    frame: pd.DataFrame,
    *,
    epochs: int | None = None,
    seed: int = 0,
    smallest: int = SMALLEST_CLUSTER,
    published_filter: bool = False,
) -> NormalisedMae:
    """Return what the recipe would publish of its models by cluster, and what they are worth.

    Parameters
    ----------
    frame, epochs, seed, smallest, published_filter
        As in `predict_recipe_by_cluster`.

    Raises
    ------
    DataError
        Keras is not installed, or no cluster is large enough.
    """
    prepared = _Prepared.of(frame, published_filter=published_filter)
    train, test = prepared.of_part("train"), prepared.of_part("test")
    groups = [listeners for listeners in clusters_of(train, seed=seed) if len(listeners) > smallest]
    if not groups:
        raise DataError(
            f"no cluster has more than {smallest} listeners, so the recipe has no model: "
            "give `smallest` a lower value"
        )
    denominator = _misaligned_baseline(train, test)
    raw_baseline = _baseline_errors(train, test)
    errors, ratios, rows = [], [], []
    for listeners in groups:
        own_train, own_test = (prepared.of_part(part, listeners) for part in ("train", "test"))
        scale = _scale(own_train) if len(listeners) <= LARGEST_STANDARDISED else None
        seen, asked = own_train, own_test
        if scale is not None:
            seen, asked = misaligned(own_train, scale), misaligned(own_test, scale)
        fitted = fit_recipe(_rows(seen), epochs=epochs or epochs_by_size(len(listeners)), seed=seed)
        answers = fitted.answer(_rows(asked).x)
        said = float(np.abs(answers - _rows(asked).y).mean())
        ratios.append(said / (denominator if scale is not None else float(raw_baseline.mean())))
        errors.append(np.abs(_seconds(answers, scale) - own_test["length"].to_numpy(float)))
        rows.append(own_test)
    mae = float(np.concatenate(errors).mean())
    baseline = float(raw_baseline.loc[pd.concat(rows).index].mean())
    weights = [len(table) for table in rows]
    return NormalisedMae(
        published=float(np.average(ratios, weights=weights)),
        right=mae / baseline,
        mae=mae,
        baseline=baseline,
        baseline_standardised=denominator,
        clusters=tuple(len(listeners) for listeners in groups),
        rows=sum(weights),
    )


def _baseline_errors(train: pd.DataFrame, test: pd.DataFrame) -> pd.Series[float]:
    """Return by test row how far off its listener's training mean is; the table's own scale."""
    mean = train.groupby("listener")["length"].mean()
    return (test["length"] - test["listener"].map(mean).fillna(train["length"].mean())).abs()


def _misaligned_baseline(train: pd.DataFrame, test: pd.DataFrame) -> float:
    """Return the baseline's error as the recipe has it: one scale, joined as in `misaligned`.

    That table is not sorted by time there, but listener by listener.
    """
    scale = _scale(train)
    moved = [misaligned(part.sort_values(["listener", "session"]), scale) for part in (train, test)]
    return float(_baseline_errors(*moved).mean())


def running_median(frame: pd.DataFrame) -> FloatArray:
    """Return the median of all earlier sessions of the listener, ``(n,)``; NaN at the first."""
    earlier = frame.groupby("listener")["length"].transform(
        lambda lengths: lengths.expanding().median().shift(1)
    )
    return earlier.to_numpy(float)


def _maes(frame: pd.DataFrame, answers: dict[str, FloatArray]) -> dict[str, dict[str, float]]:
    """Return each side's error in seconds, and over the training mean's and running median's."""
    test = (frame["part"] == "test").to_numpy()
    length = frame["length"].to_numpy(float)[test]
    mean = frame[frame["part"] == "train"].groupby("listener")["length"].mean()
    train = frame.loc[frame["part"] == "train", "length"]
    sides = {
        "each listener's training mean": frame["listener"].map(mean).to_numpy(float)[test],
        "running median": running_median(frame)[test],
        "one median for all": np.full(test.sum(), train.median()),
        **answers,
    }
    error = {name: float(np.nanmean(np.abs(length - side))) for name, side in sides.items()}
    return {
        name: {
            "mae": mae,
            "to_training_mean": mae / error["each listener's training mean"],
            "to_running_median": mae / error["running median"],
        }
        for name, mae in error.items()
    }


def read_plays(path: Path) -> pd.DataFrame:
    """Return plays as `sessions_of` takes them, of ``user_id``, ``ended_at`` and ``ms_played``."""
    log = pd.read_parquet(path, columns=["user_id", "ended_at", "ms_played"])
    length = log["ms_played"].to_numpy() / 1_000
    ended = log["ended_at"].to_numpy().astype("datetime64[ms]").astype(np.int64) / 1_000
    return pd.DataFrame(
        {"user": pd.factorize(log["user_id"])[0], "start": ended - length, "length": length}
    )


def speed(plays: pd.DataFrame, *, listeners: int) -> dict[str, float]:
    """Return seconds of the recipe's loop and of `sessions_of` with features, same plays."""
    some = plays[plays["user"] < listeners]
    started = time.perf_counter()
    published_loop(some)
    loop = time.perf_counter()
    published_features(without_profiles(sessions_of(some)))
    return {
        "plays": len(some),
        "loop": loop - started,
        "columns": time.perf_counter() - loop,
    }


def main() -> None:
    """Judge the recipe on a log and print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plays", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--cluster-epochs", type=int, help="those of the recipe unless given")
    parser.add_argument("--smallest", type=int, default=SMALLEST_CLUSTER)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loop-listeners", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    plays = read_plays(options.plays)
    frame = without_profiles(with_parts(sessions_of(plays)))
    shared = {"epochs": options.cluster_epochs, "seed": options.seed, "smallest": options.smallest}
    figures: dict[str, Any] = {"speed": speed(plays, listeners=options.loop_listeners)}
    fitted = fit_pooled(frame, epochs=options.epochs, seed=options.seed)
    figures["curve"] = fitted.curve
    pooled = predict_recipe(frame, fitted=fitted)
    clustered = predict_recipe_by_cluster(frame, pooled=pooled, **shared)
    figures["clusters"] = {
        "listeners": clustered.listeners,
        "left_out": clustered.left_out,
        "pooled_rows": clustered.pooled_rows,
    }
    figures["mae"] = _maes(
        frame, {"recipe, one model": pooled, "recipe, by cluster": clustered.seconds}
    )
    try:
        figures["normalised"] = asdict(published_normalised_mae(frame, **shared))
    except DataError as error:
        figures["normalised"] = {"none": str(error)}
    text = json.dumps(figures, indent=1)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
