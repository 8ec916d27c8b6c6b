"""The report of a bundle, and the form of its ``evaluation.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plots
from churn import drawings
from churn.evaluation import BUNDLE, CHAMPION, METRICS
from churn.peers import PEERS
from listening.churn.models import LOGISTIC, TREES
from report_frame import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from churn.evaluation import Evaluation, Subject
    from gate import Decision

TEMPLATE = Path(__file__).with_name("report.html.j2")

NAMES = {
    "auc": "AUC",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "gain_top_tenth": "of those gone in the riskiest tenth",
    "recency": "recency alone",
    "recipe_logistic": "recipe: logistic regression",
    "recipe_forest": "recipe: random forest",
    "recipe_boosting": "recipe: gradient boosting",
    "recipe_network": "recipe: neural network",
}
FEATURES_SHOWN = 15


def pretty(name: str) -> str:
    """Write a metric's or competitor's name for a reader."""
    return NAMES.get(name, name.replace("_", " "))


def evaluation_json(
    subject: Subject,
    evaluation: Evaluation,
    choices: Mapping[int, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, int],
) -> dict[str, Any]:
    """Return what ``evaluation.json`` holds, but for the gate's decision; as `report`."""
    bundle = subject.bundle
    return {
        "format_version": 1,
        "bundle_version": bundle.archive.version,
        "synthetic": subject.manifest.synthetic,
        "features_run": subject.manifest.run,
        "horizons": [horizon.days for horizon in bundle.horizons],
        "rows": dict(rows),
        "test_listeners": len(set(subject.test.listener.tolist())),
        "bots_in_test": evaluation.bots,
        "dates": subject.manifest.document["dates"],
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
        "choices": {str(days): list(tried) for days, tried in choices.items()},
        "by_horizon": {str(days): found for days, found in evaluation.by_horizon.items()},
        "by_date": evaluation.by_date,
        "by_tenure": evaluation.by_tenure,
        "by_activity": evaluation.by_activity,
        "tenths": evaluation.tenths,
        "answers": evaluation.answers,
    }


def report(  # noqa: PLR0913, PLR0917 - what there is to tell
    subject: Subject,
    evaluation: Evaluation,
    trainings: Mapping[str, Mapping[str, Any]],
    choices: Mapping[int, Sequence[Mapping[str, Any]]],
    rows: Mapping[str, int],
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
        How the models came about, by name.
    choices
        How each family did on validation, by horizon.
    rows
        How many there are of each split; bots are left out of the first two.
    decision
        What the gate decided.
    """
    return render(
        TEMPLATE,
        decision,
        system="churn",
        version=subject.bundle.archive.version,
        synthetic=subject.manifest.synthetic,
        pretty=pretty,
        subject=subject,
        manifest=subject.manifest,
        evaluation=evaluation,
        document=evaluation_json(subject, evaluation, choices, rows),
        metrics=METRICS,
        own=evaluation.intervals[BUNDLE],
        others=[name for name in evaluation.intervals if name != CHAMPION],
        longest=subject.bundle.horizons[-1].days,
        trainings=trainings,
        peers=trainings.get(PEERS),
        choices=choices,
        rows=rows,
        charts=_charts(subject, evaluation, trainings),
    )


def _charts(
    subject: Subject, evaluation: Evaluation, trainings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    days = str(subject.bundle.horizons[-1].days)
    trees = trainings[TREES]
    return {
        "roc": drawings.roc_chart(
            {pretty(name): curve for name, curve in evaluation.curves.items()}
        ),
        "gain": drawings.gain_chart(evaluation.tenths),
        "calibration": drawings.calibration_chart(evaluation.tenths),
        "date": drawings.date_chart(evaluation.by_date),
        "learning": drawings.learning_curve(trees["curve"][days], trees["rounds"][days]),
        "importance": {
            name: plots.bars(_shares(trainings[name]["importance"][days]), f"Importance of {name}")
            for name in (TREES, LOGISTIC)
        },
    }


def _shares(importance: Mapping[str, float]) -> dict[str, float]:
    total = sum(importance.values()) or 1.0
    return {name: value / total for name, value in list(importance.items())[:FEATURES_SHOWN]}
