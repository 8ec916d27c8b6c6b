"""The form of country's ``evaluation.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from country.evaluation import CHAIN, Evaluation, Subject, splits
from listening.metrics import by_class

if TYPE_CHECKING:
    from listening.metrics import Outcomes


def evaluation_json(subject: Subject, evaluation: Evaluation) -> dict[str, Any]:
    """Return what ``evaluation.json`` holds, but for the gate's decision."""
    outcomes = evaluation.outcomes[CHAIN]
    return {
        "format_version": 1,
        "bundle_version": subject.bundle.version,
        "synthetic": subject.manifest.synthetic,
        "features_run": subject.manifest.run,
        "listeners": {name: len(listeners) for name, listeners in splits(subject)},
        "countries": len(subject.flat_task.classes),
        "metrics": {
            **{name: i.value for name, i in evaluation.intervals[CHAIN].items()},
            "ece": evaluation.reliability[CHAIN].ece,
            "regions_visited_top5": evaluation.visited["top5"],
        },
        "calibrated_ece": evaluation.calibrated_ece,
        "models": {
            name: {
                **{metric: i.to_json() for metric, i in intervals.items()},
                **(
                    {"ece": {"value": evaluation.reliability[name].ece}}
                    if name in evaluation.reliability
                    else {}
                ),
            }
            for name, intervals in evaluation.intervals.items()
        },
        "differences": {
            other: {metric: i.to_json() for metric, i in intervals.items()}
            for other, intervals in evaluation.differences.items()
        },
        "champion": {
            "version": subject.champion.version if subject.champion else None,
            "metrics": evaluation.beside_champion,
            "differences": {m: i.to_json() for m, i in evaluation.against_champion.items()},
        },
        "regions": evaluation.regions,
        "country_models": evaluation.countries,
        "by_country": _by_country(subject, outcomes),
        "region_confusion": {
            "regions": [region.slug for region in subject.manifest.regions.regions],
            "counts": evaluation.region_confusion.tolist(),
        },
        "prior_powers": evaluation.prior_powers,
        "answers": evaluation.answers,
        "regions_visited": evaluation.visited,
    }


def _by_country(subject: Subject, outcomes: Outcomes) -> list[dict[str, Any]]:
    table = by_class(outcomes, len(subject.flat_task.classes))
    region_of = subject.manifest.regions.region_of
    return [
        {
            "country": code,
            "name": subject.manifest.countries[code],
            "region": region_of[code],
            "train": subject.manifest.train_counts[code],
            "listeners": int(table.listeners[i]),
            "predicted": int(table.predicted[i]),
            "precision": float(table.precision[i]),
            "recall": float(table.recall[i]),
            "f1": float(table.f1[i]),
            "top5": float(table.top5[i]),
        }
        for i, code in enumerate(subject.flat_task.classes)
    ]
