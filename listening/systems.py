"""The systems: for each, what it reads, runs, trains and is judged by.

Data alone, from the standard library alone: whoever provisions, starts, follows, judges or shows a
system reads its entry here and needs to know nothing else of it. What a system computes stands in
its folders; `docs/new-system.md` walks through adding one.

>>> from listening.systems import SYSTEMS
>>> SYSTEMS["country"].features.name
'features'
>>> SYSTEMS["country"].output("features")
'country/features/'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from listening.errors import ResourceError
from listening.resources import output

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NAME = re.compile(r"[a-z]{2,16}")
SLUG = 12
"""The most characters of what a training job's name starts with: 63 hold two hashes beside it."""

SOURCES = ("raw", "endpoint", "captures", "reports")
"""What a job may read beside the output of other jobs of its system."""

ASSEMBLE = "assemble"
"""The task of every system that makes a bundle of what was trained, judges it and decides."""

GATE_METRICS = "gate_metrics"
"""Hyperparameter of that task: the names of the gate's metrics, if not all, with commas."""

Starts = Literal["workflow", "request", "schedule"]
Machine = Literal["large", "small"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A Glue job.

    Parameters
    ----------
    name
        Of its script, and of the prefix of what it writes.
    makes
        What it does, in a few words.
    reads
        Some of `SOURCES`, and names of jobs whose output it reads.
    starts
        ``workflow``: after the job before it, the first one when a batch arrives; ``request``: when
        asked for; ``schedule``: as the environment's settings say.
    arguments
        Names of arguments that an environment's settings may give, without dashes.
    """

    name: str
    makes: str
    reads: tuple[str, ...] = ()
    starts: Starts = "workflow"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table in the catalogue, through which Athena reads what lies under a prefix.

    Parameters
    ----------
    name
        Without the system's.
    row
        What one row of it is.
    job
        Whose output it lies in.
    path
        Within a run; ``${name}`` stands for a partition's value.
    columns
        Hive type by name.
    partitions
        The values of a partition, where they are few and known; of others a query names one.
    """

    name: str
    row: str
    job: str
    path: str
    columns: Mapping[str, str]
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """An input channel of a training job: a prefix within the features run.

    Parameters
    ----------
    name
        The channel's.
    prefix
        For example ``listeners/split=train/``; ``{}`` stands for the slug of a mapped task's item.
    shared
        Whether several hosts divide its files among them.
    """

    name: str
    prefix: str
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """A training task: ``TASKS["<system>.<name>"]`` of the training script does it.

    Parameters
    ----------
    name
        At most `SLUG` characters.
    channels
        What it reads.
    each
        The list of the features run's manifest that it is mapped over, one model an item, which
        it gets as hyperparameter ``item``; None for one model.
    most
        How many items that list holds at most.
    machine
        Which of the environment's two sizes of machine it runs on.
    metric
        What it minimises on validation and prints as `validation_metric` says.
    hyperparameters
        Names of hyperparameters that an environment's settings may give.
    optional
        Trained only where an environment's settings name it.
    """

    name: str
    channels: tuple[Channel, ...]
    each: str | None = None
    most: int = 1
    machine: Machine = "large"
    metric: str = "log_loss"
    hyperparameters: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric on the test split that the gate looks at."""

    name: str
    lower_is_better: bool = False


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a bundle is judged by.

    Parameters
    ----------
    metrics
        A bundle that is significantly worse than the champion on one of these is refused.
    decider
        The metric on which a bundle must beat the baseline.
    baseline
        The simple answer that it is compared with.
    peer
        What it is compared with for a warning; None for nothing.
    """

    metrics: tuple[Metric, ...]
    decider: Metric
    baseline: str
    peer: str | None = None

    def __getitem__(self, metric: str) -> Metric:
        """Return the metric of this name.

        Raises
        ------
        ResourceError
            There is none.
        """
        for one in self.metrics:
            if one.name == metric:
                return one
        names = ", ".join(one.name for one in self.metrics)
        raise ResourceError(f"the gate has no metric '{metric}'; it has {names}")


@dataclass(frozen=True, kw_only=True)
class System:
    """A system.

    Parameters
    ----------
    name
        Of its folders, prefixes and resources.
    question
        What it answers.
    needs, uses
        Tables of the listening log that it cannot do without, and that it makes use of.
    labels
        Columns that training learns from, by their table; scoring can do without both.
    jobs
        Its Glue jobs; those of the workflow in their order.
    train
        What is trained on a features run, side by side; nothing for a system that only assembles.
    assemble
        Channels of the task that judges, beside ``models`` and ``champion``.
    gate
        What that task judges by.
    assemble_hyperparameters
        Names of its hyperparameters that an environment's settings may give, beside
        `GATE_METRICS`.
    drift
        Measures in which captured answers are compared with those of the test split.
    catalog
        The tables that its jobs leave.
    """

    name: str
    question: str
    needs: tuple[str, ...]
    uses: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    jobs: tuple[Job, ...]
    train: tuple[Task, ...] = ()
    assemble: tuple[Channel, ...]
    gate: Gate
    assemble_hyperparameters: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    catalog: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an entry that would make an invalid name."""
        if not NAME.fullmatch(self.name):
            raise ResourceError(f"system '{self.name}' must be 2 to 16 of a-z")
        known = {*SOURCES, *(job.name for job in self.jobs)}
        for job in self.jobs:
            if not known.issuperset(job.reads):
                raise ResourceError(
                    f"job '{job.name}' of system {self.name} reads {', '.join(job.reads)}, but "
                    f"only {', '.join(sorted(known))} are there to read"
                )
        for task in self.train:
            if len(task.name) > SLUG or task.name == ASSEMBLE:
                raise ResourceError(
                    f"task '{task.name}' of system {self.name} must have another name, of at most "
                    f"{SLUG} characters"
                )
        if self.train and all(task.optional for task in self.train):
            raise ResourceError(
                f"system {self.name}: every task is optional; it must have one that is always "
                "trained, or none at all"
            )

    @cached_property
    def workflow(self) -> tuple[Job, ...]:
        """The jobs of the workflow, in their order; the last one makes the features."""
        return tuple(job for job in self.jobs if job.starts == "workflow")

    @property
    def features(self) -> Job:
        """The job whose runs are trained on."""
        return self.workflow[-1]

    @property
    def optional_tasks(self) -> tuple[str, ...]:
        """The names of the tasks that are trained only where settings name them."""
        return tuple(task.name for task in self.train if task.optional)

    def trained(self, optional: Collection[str] = ()) -> tuple[Task, ...]:
        """Return the tasks that are trained, in their order, where these optional ones are."""
        return tuple(t for t in self.train if not t.optional or t.name in optional)

    def script(self, job: Job) -> str:
        """Return the path of a job's script within ``glue_jobs/``."""
        return f"{self.name}/{job.name}.py"

    def output(self, job: str) -> str:
        """Return the prefix in the data bucket of the runs of the job of this name."""
        return output(self.name, self.job(job).name)

    def job(self, name: str) -> Job:
        """Return the job of this name.

        Raises
        ------
        ResourceError
            There is none.
        """
        for job in self.jobs:
            if job.name == name:
                return job
        names = ", ".join(job.name for job in self.jobs)
        raise ResourceError(f"system {self.name} has no job '{name}'; it has {names}")


def validation_metric(metric: str) -> tuple[str, str]:
    """Return the name by which SageMaker keeps a task's metric, and the pattern it is read by.

    A training job prints ``<name>=<number>;``.
    """
    name = f"validation:{metric}"
    return name, f"{name}=([0-9.]+);"


_TREES = (
    *("learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "path_smooth", "max_bin"),
    *("feature_fraction", "bagging_fraction", "bagging_freq", "max_rounds"),
    *("early_stopping_rounds", "class_weights", "class_weight_cap", "prior_power", "label_noise"),
    *("blocks", "base", "seed"),
)
_SPLITS = (
    Channel(name="train", prefix="listeners/split=train/", shared=True),
    Channel(name="validation", prefix="listeners/split=validation/"),
)
_MANIFEST = Channel(name="features", prefix="manifest.json")

COUNTRY = System(
    name="country",
    question="Which country is a listener from, judged by the artists they play?",
    needs=("users", "top_artists"),
    uses=("plays", "tracks"),
    labels={"users": ("country",)},
    jobs=(
        Job(
            name="embeddings",
            makes="raw plays to cleaned listeners and artist vectors",
            reads=("raw",),
            arguments=(
                *("method", "dimensions", "min_listeners", "max_artists", "iterations", "seed"),
                "most_artists",
                *("max_dropped_share", "max_filled_share", "max_unknown_share", "max_null_share"),
            ),
        ),
        Job(
            name="features",
            makes="cleaned listeners to splits and features",
            reads=("embeddings",),
            arguments=(
                *("min_listeners_per_country", "folds", "min_listeners", "strength", "iterations"),
                *("max_regression_listeners", "max_unusable_country_share", "max_label_shift"),
            ),
        ),
        Job(
            name="scoring",
            makes="raw plays to countries, with the champion",
            reads=("raw", "endpoint"),
            starts="request",
            arguments=("k", "every_country"),
        ),
        Job(
            name="drift",
            makes="captured answers beside those of the champion's test listeners",
            reads=("captures", "reports"),
            starts="schedule",
            arguments=(
                *("days", "least_listeners", "max_artist_coverage", "max_list_length"),
                *("max_confidence", "max_country"),
            ),
        ),
    ),
    train=(
        Task(name="region", channels=(*_SPLITS, _MANIFEST), hyperparameters=_TREES),
        Task(
            name="country",
            channels=(
                Channel(name="train", prefix="listeners/split=train/region={}/"),
                Channel(name="validation", prefix="listeners/split=validation/region={}/"),
                _MANIFEST,
            ),
            each="regions",
            most=20,
            machine="small",
            hyperparameters=_TREES,
        ),
        Task(name="flat", channels=(*_SPLITS, _MANIFEST), hyperparameters=_TREES),
    ),
    assemble=(
        _MANIFEST,
        Channel(name="artists", prefix="artists/"),
        Channel(name="train", prefix="listeners/split=train/"),
        Channel(name="validation", prefix="listeners/split=validation/"),
        Channel(name="test", prefix="listeners/split=test/"),
        Channel(name="plays", prefix="plays/split=test/"),
    ),
    gate=Gate(
        metrics=(
            Metric(name="log_loss", lower_is_better=True),
            Metric(name="accuracy"),
            Metric(name="top5"),
            Metric(name="macro_f1"),
            Metric(name="macro_top5"),
        ),
        decider=Metric(name="log_loss", lower_is_better=True),
        baseline="prior",
        peer="flat",
    ),
    assemble_hyperparameters=("gate_min_listeners",),
    drift=("artist_coverage", "list_length", "confidence", "country"),
    catalog=(
        Table(
            name="listeners",
            row="A listener with cleaned plays",
            job="embeddings",
            path="listeners/",
            columns={
                "user_id": "string",
                "country": "string",
                "total_scrobbles": "double",
                "artist_keys": "array<string>",
                "playcounts": "array<double>",
            },
        ),
        Table(
            name="features",
            row="A labelled listener with features",
            job="features",
            path="listeners/split=${split}/region=${region}/",
            columns={"user_id": "string", "country": "string", "features": "array<float>"},
            partitions={"split": ("train", "validation", "test")},
        ),
    ),
)

_SESSIONS = (
    Channel(name="features", prefix="manifest.json"),
    Channel(name="train", prefix="sessions/split=train/"),
    Channel(name="validation", prefix="sessions/split=validation/"),
)
_QUANTILE_TREES = (
    *("learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "max_bin"),
    *("feature_fraction", "bagging_fraction", "bagging_freq", "max_rounds"),
    *("early_stopping_rounds", "seed"),
)
_RECURRENT = (
    *("layers", "hidden", "dropout", "optimizer", "learning_rate", "batch", "epochs", "patience"),
    "seed",
)

SESSIONS = System(
    name="sessions",
    question="How long will a listener's session last?",
    needs=("plays",),
    uses=("tracks", "users"),
    jobs=(
        Job(
            name="sessions",
            makes="raw plays to sessions",
            reads=("raw",),
            arguments=("gap_minutes", "max_dropped_share"),
        ),
        Job(
            name="session_features",
            makes="sessions to features at their starts, by split",
            reads=("sessions",),
            arguments=("held_out_share",),
        ),
        Job(
            name="scoring",
            makes="raw plays to forecasts at a moment, with the champion",
            reads=("raw", "endpoint"),
            starts="request",
            arguments=("at", "longer_than"),
        ),
        Job(
            name="drift",
            makes="captured answers beside those to the champion's test sessions",
            reads=("captures", "reports"),
            starts="schedule",
            arguments=("days", "least_listeners", "max_median_length", "max_sessions_used"),
        ),
    ),
    train=(
        Task(
            name="start",
            channels=(*_SESSIONS, Channel(name="profiles", prefix="profiles/")),
            metric="pinball",
            hyperparameters=(*_QUANTILE_TREES, "standardise"),
        ),
        Task(
            name="remaining",
            channels=_SESSIONS,
            metric="pinball",
            hyperparameters=_QUANTILE_TREES,
        ),
        *(
            Task(
                name=cell,
                channels=_SESSIONS,
                metric="pinball",
                hyperparameters=_RECURRENT,
                optional=True,
            )
            for cell in ("gru", "lstm")
        ),
    ),
    assemble=(
        *_SESSIONS,
        Channel(name="test", prefix="sessions/split=test/"),
        Channel(name="held_out", prefix="sessions/split=held_out/"),
    ),
    gate=Gate(
        metrics=(
            Metric(name="pinball", lower_is_better=True),
            Metric(name="mae", lower_is_better=True),
            Metric(name="auc"),
        ),
        decider=Metric(name="pinball", lower_is_better=True),
        baseline="own_history",
    ),
    drift=("median_length", "sessions_used"),
    catalog=(
        Table(
            name="sessions",
            row="A session",
            job="sessions",
            path="sessions/",
            columns={
                "user_id": "string",
                "start": "double",
                "end": "double",
                "plays": "int",
                "skips": "int",
                "artists": "int",
                "top_artist": "string",
            },
        ),
        Table(
            name="features",
            row="A session with what was known at its start",
            job="session_features",
            path="sessions/split=${split}/",
            columns={
                "user_id": "string",
                "number": "int",
                "start": "double",
                "length": "double",
                "features": "array<float>",
            },
            partitions={"split": ("train", "validation", "test", "held_out")},
        ),
    ),
)

_SNAPSHOTS = (
    Channel(name="features", prefix="manifest.json"),
    Channel(name="train", prefix="snapshots/split=train/"),
    Channel(name="validation", prefix="snapshots/split=validation/"),
    Channel(name="rest", prefix="snapshots/split=rest/"),
)

CHURN = System(
    name="churn",
    question="Will a listener be gone for the next days?",
    needs=("plays",),
    uses=("events", "tracks", "users"),
    jobs=(
        Job(
            name="activity",
            makes="raw plays, searches and downloads to what each listener did by day",
            reads=("raw",),
            arguments=("max_dropped_share",),
        ),
        Job(
            name="snapshots",
            makes="activity to features at several dates, by split, and who was gone then",
            reads=("activity",),
            arguments=("every_days", "horizons", "log_ends", "bots_quantile"),
        ),
        Job(
            name="scoring",
            makes="raw plays to the risk of each listener at a date, with the champion",
            reads=("raw", "endpoint"),
            starts="request",
            arguments=("at", "most_reasons"),
        ),
        Job(
            name="drift",
            makes="captured answers beside those to the champion's test listeners",
            reads=("captures", "reports"),
            starts="schedule",
            arguments=("days", "least_listeners", "max_risk", "max_recency"),
        ),
    ),
    train=(
        Task(
            name="trees",
            channels=_SNAPSHOTS,
            hyperparameters=(
                *("learning_rate", "num_leaves", "min_data_in_leaf", "lambda_l2", "max_bin"),
                *("feature_fraction", "bagging_fraction", "bagging_freq", "max_rounds"),
                *("early_stopping_rounds", "seed"),
            ),
        ),
        Task(name="logistic", channels=_SNAPSHOTS, hyperparameters=("penalty",)),
        Task(
            name="peers",
            channels=(*_SNAPSHOTS, Channel(name="test", prefix="snapshots/split=test/")),
            hyperparameters=("most_rows", "seed"),
        ),
    ),
    assemble=(*_SNAPSHOTS, Channel(name="test", prefix="snapshots/split=test/")),
    gate=Gate(
        metrics=(
            Metric(name="log_loss", lower_is_better=True),
            Metric(name="auc"),
            Metric(name="average_precision"),
            Metric(name="brier", lower_is_better=True),
        ),
        decider=Metric(name="log_loss", lower_is_better=True),
        baseline="base_rate",
        peer="recency",
    ),
    drift=("risk", "recency"),
    catalog=(
        Table(
            name="activity",
            row="A day on which a listener did something",
            job="activity",
            path="days/",
            columns={
                "user_id": "string",
                "day": "int",
                "plays": "int",
                "searches": "int",
                "downloads": "int",
                "seconds": "double",
                "full": "int",
                "skips": "int",
                "artists": "int",
                "device": "string",
            },
        ),
        Table(
            name="snapshots",
            row="A listener at a date, with what was known and who was gone",
            job="snapshots",
            path="snapshots/split=${split}/",
            columns={
                "user_id": "string",
                "date": "int",
                "device": "string",
                "gone": "array<boolean>",
                "features": "array<float>",
            },
            partitions={"split": ("train", "validation", "test", "rest")},
        ),
    ),
)

CHARTS = System(
    name="charts",
    question="What is hot this week and this month?",
    needs=("plays",),
    uses=("tracks", "users", "events"),
    jobs=(
        Job(
            name="charts",
            makes="raw plays to what is hot by window and place, and how such lists did",
            reads=("raw",),
            arguments=(
                *("method", "half_life_days", "least_listeners", "judged_weeks"),
                "max_dropped_share",
            ),
        ),
    ),
    assemble=(
        Channel(name="features", prefix="manifest.json"),
        Channel(name="lists", prefix="lists/"),
        Channel(name="judged", prefix="judged/"),
        Channel(name="weeks", prefix="weeks/"),
    ),
    gate=Gate(
        metrics=(Metric(name="hit10"), Metric(name="ndcg10"), Metric(name="hit50")),
        decider=Metric(name="hit10"),
        baseline="empty_list",
        peer="plays",
    ),
    catalog=(
        Table(
            name="lists",
            row="A track in a list",
            job="charts",
            path="lists/",
            columns={
                "window": "string",
                "place": "string",
                "rank": "int",
                "track_id": "string",
                "artist_name": "string",
                "track_name": "string",
                "score": "double",
                "previous_rank": "int",
                "is_new": "boolean",
                "is_rising": "boolean",
                "listeners": "double",
                "plays": "double",
            },
        ),
    ),
)

SYSTEMS = {system.name: system for system in (COUNTRY, SESSIONS, CHURN, CHARTS)}
"""Every system by its name."""
