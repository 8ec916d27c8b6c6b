"""The report of a bundle, and the form of its ``evaluation.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plots
from listening.sessions.forecast import LEVELS, MEDIAN
from report_frame import render
from sessions import drawings
from sessions.evaluation import BUNDLE, CHAMPION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate import Decision
    from sessions.evaluation import Evaluation, Subject

TEMPLATE = Path(__file__).with_name("report.html.j2")

NAMES = {
    "mae": "mean absolute error, s",
    "mae_log": "mean absolute error of the logarithm",
    "median_error": "median absolute error, s",
    "rmse": "root mean squared error, s",
    "pinball": "pinball loss, s",
    "auc": "AUC of longer than 30 minutes",
    "within_10_90": "within the 10 to 90% quantiles",
    "own_history": "own history",
    "own_mean": "own mean",
}
SHOWN = ("pinball", "mae", "median_error", "mae_log", "rmse", "auc", "within_10_90")
FEATURES_SHOWN = 15


def pretty(name: str) -> str:
    """Write a metric's or competitor's name for a reader."""
    return NAMES.get(name, name.replace("_", " "))


def evaluation_json(subject: Subject, evaluation: Evaluation) -> dict[str, Any]:
    """Return what ``evaluation.json`` holds, but for the gate's decision."""
    splits = {"train": subject.train, "validation": subject.validation, "test": subject.test}
    if subject.held_out is not None:
        splits["held_out"] = subject.held_out
    return {
        "format_version": 1,
        "bundle_version": subject.bundle.archive.version,
        "synthetic": subject.manifest.synthetic,
        "features_run": subject.manifest.run,
        "sessions": {name: len(sessions) for name, sessions in splits.items()},
        "listeners": {name: len(sessions.user_ids) for name, sessions in splits.items()},
        "metrics": evaluation.metrics,
        "models": {
            name: {metric: i.to_json() for metric, i in intervals.items()}
            for name, intervals in evaluation.intervals.items()
        },
        "differences": {
            other: {metric: i.to_json() for metric, i in intervals.items()}
            for other, intervals in evaluation.differences.items()
        },
        "champion": {
            "version": subject.champion.archive.version if subject.champion else None,
            "differences": {m: i.to_json() for m, i in evaluation.against_champion.items()},
        },
        "by_history": evaluation.by_history,
        "by_cluster": evaluation.by_cluster,
        "by_hour": evaluation.by_hour,
        "held_out": evaluation.held_out,
        "remaining": [vars(row) for row in evaluation.remaining],
        "answers": evaluation.answers,
    }


def report(
    subject: Subject,
    evaluation: Evaluation,
    trainings: Mapping[str, Mapping[str, Any]],
    candidates: Mapping[str, float],
    decision: Decision,
) -> str:
    """Return the report's HTML.

    Parameters
    ----------
    subject
        What was judged.
    evaluation
        How it did.
    trainings
        How the trees came about, by name.
    candidates
        Pinball loss on validation of each model of the length at the start, in seconds.
    decision
        What the gate decided.
    """
    return render(
        TEMPLATE,
        decision,
        system="sessions",
        version=subject.bundle.archive.version,
        synthetic=subject.manifest.synthetic,
        pretty=pretty,
        subject=subject,
        manifest=subject.manifest,
        evaluation=evaluation,
        metrics=evaluation.metrics,
        document=evaluation_json(subject, evaluation),
        shown=SHOWN,
        own=evaluation.intervals[BUNDLE],
        others=[name for name in evaluation.intervals if name != CHAMPION],
        trainings=trainings,
        candidates=candidates,
        charts=_charts(evaluation, trainings),
    )


def _charts(evaluation: Evaluation, trainings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    clustering = trainings["start"]["clustering"]
    charts: dict[str, Any] = {
        "coverage": drawings.coverage_chart(
            [evaluation.metrics[f"below_{level}"] for level in LEVELS]
        ),
        "history": drawings.ratio_chart(
            evaluation.by_history, "Error by history", "sessions known before"
        ),
        "hour": drawings.ratio_chart(evaluation.by_hour, "Error by hour", "hour of the start, UTC"),
        "clusters": drawings.cluster_chart(clustering["places"]),
        "learning": {
            name: drawings.learning_curve(name, training["curve"], training["rounds"][MEDIAN])
            for name, training in trainings.items()
        },
        "importance": {
            name: plots.bars(_shares(training["importance"]), f"Feature importance of {name}")
            for name, training in trainings.items()
        },
    }
    if clustering["inertia"]:
        charts["elbow"] = drawings.by_number_chart(
            {"kmeans": clustering["inertia"]}, "Elbow", "inertia of k-means"
        )
        charts["silhouette"] = drawings.by_number_chart(
            clustering["silhouettes"], "Silhouettes", "mean silhouette"
        )
    if evaluation.remaining:
        charts["remaining"] = drawings.remaining_chart(evaluation.remaining)
    return charts


def _shares(importance: Mapping[str, float]) -> dict[str, float]:
    total = sum(importance.values()) or 1.0
    return {name: gain / total for name, gain in list(importance.items())[:FEATURES_SHOWN]}
