"""What churn says in the model card of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_card import LONGEST_SETTING, custom_details, evaluation_details

if TYPE_CHECKING:
    from collections.abc import Mapping

    from churn.evaluation import Evaluation, Subject
    from gate import Decision

LIMITS = (
    "A risk says who will be gone, not whom an offer would keep: it is no uplift. Whoever is "
    "treated by it should be compared with others of the same risk that are not.",
    "Gone is what the log sees: nothing played, searched or downloaded for so many days. Holidays "
    "and broken devices look the same.",
    "Days are UTC. The dates that were trained on are a fixed number of days apart, so mostly of "
    "one weekday; risks of a few days are off on others.",
    "The risk must not be used to make leaving harder, nor to judge a person.",
)


def model_card(  # noqa: PLR0917 - what there is to tell
    subject: Subject,
    evaluation: Evaluation,
    trainings: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, int],
    decision: Decision,
) -> dict[str, Any]:
    """Return the card; parameters as `churn.report.report`."""
    manifest, bundle = subject.manifest, subject.bundle
    generated = " The listeners are SYNTHETIC: the figures say nothing of real ones."
    families = sorted({horizon.model.family for horizon in bundle.horizons})
    return {
        "model_overview": {
            "model_description": (
                "The probability that a listener who was active in the last 30 days does nothing "
                f"in the next {', '.join(str(h.days) for h in bundle.horizons)} days."
                + (generated if manifest.synthetic else "")
            ),
            "problem_type": "Binary Classification",
            "algorithm_type": " and ".join(families),
            "model_artifact": [f"bundle.tar.gz of bundle {bundle.archive.version}"],
        },
        "intended_uses": {
            "purpose_of_model": "Rank listeners by the risk that they leave, with reasons.",
            "intended_uses": "Whom to ask what is missing; forecasts of how many stay.",
            "factors_affecting_model_efficiency": (
                "With few known days the risk rests on recency; at dates unlike those trained on, "
                "such as before a holiday, it is off."
            ),
            "risk_rating": "Low",
            "explanations_for_risk_rating": "Low for the uses above; see the caveats for others.",
        },
        "training_details": {
            "training_observations": (
                f"{rows['everything']} rows, a listener at a date each, {rows['train']} of them to "
                f"choose by {rows['validation']} others; test listeners and dates are none of them."
            ),
            "training_job_details": {
                "training_datasets": [f"features run {manifest.run}"],
                "hyper_parameters": [
                    {"name": name, "value": _settings(training["recipe"])}
                    for name, training in trainings.items()
                    if "recipe" in training
                ],
            },
        },
        "evaluation_details": evaluation_details(evaluation.intervals, features_run=manifest.run),
        "additional_information": {
            "ethical_considerations": LIMITS[-1],
            "caveats_and_recommendations": " ".join(LIMITS[:-1]),
            "custom_details": custom_details(
                decision,
                version=bundle.archive.version,
                synthetic=manifest.synthetic,
                features_run=manifest.run,
                activity_run=manifest.document.get("activity_run"),
                batch=manifest.document.get("batch"),
                split_salt=manifest.document.get("salt"),
            ),
        },
    }


def _settings(recipe: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in recipe.items())[:LONGEST_SETTING]
