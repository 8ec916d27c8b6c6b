"""The report: one HTML file with everything in it, that opens without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import plots
from country import drawings
from country.evaluation import FLAT, PRIOR, Evaluation, Subject
from country.evaluation_json import evaluation_json
from listening.metrics import LOWER_IS_BETTER, by_class
from report_frame import render

if TYPE_CHECKING:
    from gate import Decision

TEMPLATE = Path(__file__).with_name("report.html.j2")

METRICS = (
    "accuracy",
    "top3",
    "top5",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "macro_top5",
    "top10_accuracy",
    "tail10_accuracy",
    "tail10_top5",
    "log_loss",
    "brier",
    "hierarchical_precision",
    "hierarchical_recall",
)
COMPARED = ("accuracy", "top5", "macro_f1", "macro_top5", "tail10_top5", "log_loss")
FEATURES_SHOWN = 15


def report(subject: Subject, evaluation: Evaluation, decision: Decision) -> str:
    """Return the report's HTML.

    Parameters
    ----------
    subject
        What was judged.
    evaluation
        How it did.
    decision
        What the gate decided.
    """
    document = evaluation_json(subject, evaluation)
    return render(
        TEMPLATE,
        decision,
        system="country",
        version=subject.bundle.version,
        synthetic=subject.manifest.synthetic,
        pretty=drawings.pretty,
        subject=subject,
        manifest=subject.manifest,
        evaluation=evaluation,
        document=document,
        metrics=METRICS,
        best=_best(evaluation),
        specs=[subject.predictor.region.spec, *(m.spec for m in subject.predictor.country)],
        charts=_charts(subject, evaluation, document),
    )


def _best(evaluation: Evaluation) -> dict[str, str]:
    """Return the best model by metric, the prior left out."""
    best = {}
    for metric in METRICS:
        values = {n: i[metric].value for n, i in evaluation.intervals.items() if n != PRIOR}
        choose = min if metric in LOWER_IS_BETTER else max
        best[metric] = choose(values, key=lambda name, values=values: values[name])  # type: ignore[misc]
    return best


def _charts(subject: Subject, evaluation: Evaluation, document: dict[str, Any]) -> dict[str, Any]:
    rows = document["by_country"]
    flat = by_class(evaluation.outcomes[FLAT], len(rows)).top5.tolist()
    differences = {o: d for o, d in evaluation.differences.items() if o != PRIOR}
    if evaluation.against_champion:
        differences["champion"] = evaluation.against_champion
    region = subject.trainings["region"]
    return {
        "differences": drawings.difference_chart(differences, COMPARED),
        "map": drawings.world_map(
            {row["country"]: row["top5"] for row in rows},
            {
                row["country"]: f"{row['name']}: {row['top5']:.0%} of {row['listeners']}"
                for row in rows
            },
            "Top-5 recall by country",
        ),
        "confusion": drawings.confusion_chart(
            [r.name for r in subject.manifest.regions.regions],
            evaluation.region_confusion.tolist(),
        ),
        "reliability": drawings.reliability_chart(evaluation.reliability),
        "tail": drawings.tail_chart(rows, flat),
        "prior_power": drawings.prior_power_chart(
            evaluation.prior_powers, region.recipe.prior_power
        ),
        "learning": {
            name: drawings.learning_curve(name, training.curve, training.rounds)
            for name, training in subject.trainings.items()
            if training.curve
        },
        "importance": {
            name: plots.bars(_shares(training.importance), f"Feature importance of {name}")
            for name, training in subject.trainings.items()
            if training.importance and name in ("region", FLAT)
        },
        "blocks": {
            name: plots.bars(_by_block(training.importance), f"Importance by block, {name}")
            for name, training in subject.trainings.items()
            if training.importance and name != FLAT
        },
    }


def _shares(importance: dict[str, float]) -> dict[str, float]:
    total = sum(importance.values())
    first = list(importance.items())[:FEATURES_SHOWN]
    return {name: gain / total for name, gain in first}


def _by_block(importance: dict[str, float]) -> dict[str, float]:
    total = sum(importance.values())
    blocks: dict[str, float] = {}
    for name, gain in importance.items():
        block = name.split("[")[0]
        blocks[block] = blocks.get(block, 0.0) + gain / total
    return dict(sorted(blocks.items(), key=lambda item: -item[1]))
