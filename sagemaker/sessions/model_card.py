"""What sessions says in the model card of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_card import LONGEST_SETTING, custom_details, evaluation_details

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate import Decision
    from sessions.evaluation import Evaluation, Subject

LIMITS = (
    "Most of a session's length is chance: the quantiles are wide, and honest; the median alone "
    "says little.",
    "A length is what the log has: devices that do not scrobble, and pauses, are not seen.",
    "Hours are UTC; a listener who travels is forecast by the habits of home.",
    "The forecast must not be used to hold listeners longer than they want, nor to judge a person.",
)


def model_card(
    subject: Subject,
    evaluation: Evaluation,
    trainings: Mapping[str, Mapping[str, Any]],
    decision: Decision,
) -> dict[str, Any]:
    """Return the card.

    Parameters
    ----------
    subject
        What was judged.
    evaluation
        How it did.
    trainings
        How the models came about, by name.
    decision
        What the gate decided.
    """
    manifest = subject.manifest
    generated = " The listeners are SYNTHETIC: the figures say nothing of real ones."
    return {
        "model_overview": {
            "model_description": (
                "How long a listener's session will be, as quantiles: when it begins, and after "
                "each of its plays how much of it remains."
                + (generated if manifest.synthetic else "")
            ),
            "problem_type": "Regression",
            "algorithm_type": "Gradient boosted trees for quantiles (LightGBM)",
            "model_artifact": [
                f"bundle.tar.gz of bundle {subject.bundle.archive.version}",
            ],
        },
        "intended_uses": {
            "purpose_of_model": "Forecast session lengths from a listener's earlier sessions.",
            "intended_uses": "Prefetching, placing of breaks, capacity; statistics of listening.",
            "factors_affecting_model_efficiency": (
                "With few earlier sessions the forecast is that of listeners alike, and wide."
            ),
            "risk_rating": "Low",
            "explanations_for_risk_rating": "Low for the uses above; see the caveats for others.",
        },
        "training_details": {
            "training_observations": (
                f"{len(subject.train)} training and {len(subject.validation)} validation sessions "
                f"of {len(subject.train.user_ids)} listeners, divided in time within each; "
                "further listeners are held out whole."
            ),
            "training_job_details": {
                "training_datasets": [f"features run {manifest.run}"],
                "hyper_parameters": [
                    {"name": name, "value": _settings(training)}
                    for name, training in trainings.items()
                ],
            },
        },
        "evaluation_details": evaluation_details(evaluation.intervals, features_run=manifest.run),
        "additional_information": {
            "ethical_considerations": LIMITS[-1],
            "caveats_and_recommendations": " ".join(LIMITS[:-1]),
            "custom_details": custom_details(
                decision,
                version=subject.bundle.archive.version,
                synthetic=manifest.synthetic,
                features_run=manifest.run,
                sessions_run=manifest.document.get("sessions_run"),
                batch=manifest.document.get("batch"),
                split_salt=manifest.document.get("salt"),
            ),
        },
    }


def _settings(training: Mapping[str, Any]) -> str:
    settings = training["recipe"].items()
    return " ".join(f"{name}={value}" for name, value in settings)[:LONGEST_SETTING]
