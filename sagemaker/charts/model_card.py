"""What charts says in the model card of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_card import custom_details, evaluation_details

if TYPE_CHECKING:
    from charts.data import ChartsManifest
    from charts.judging import Evaluation
    from gate import Decision
    from listening.charts.bundle import ChartsBundle

LIMITS = (
    "A list says what many play, not what is good, and whoever shows it makes it truer.",
    "Listeners are counted once, but many accounts of one hand are many listeners: the least "
    "number of listeners helps only against few.",
    "Lists of small places are mostly those of their region.",
    "Who is in no list is not unheard: nobody must be judged, or paid, by these lists alone.",
)


def model_card(
    manifest: ChartsManifest, bundle: ChartsBundle, evaluation: Evaluation, decision: Decision
) -> dict[str, Any]:
    """Return the card; parameters as `charts.report.report`."""
    generated = " The listeners are SYNTHETIC: the figures say nothing of real ones."
    return {
        "model_overview": {
            "model_description": (
                "The tracks that are hot this week and this month, in the world, its regions and "
                "countries." + (generated if manifest.synthetic else "")
            ),
            "problem_type": "Ranking",
            "algorithm_type": f"score by {manifest.method}; nothing is trained",
            "model_artifact": [f"bundle.tar.gz of bundle {bundle.archive.version}"],
        },
        "intended_uses": {
            "purpose_of_model": "Show what many listeners play now.",
            "intended_uses": "Charts by window and place; a start for listeners of whom nothing is "
            "known.",
            "factors_affecting_model_efficiency": "With few listeners lists are mostly chance.",
            "risk_rating": "Low",
            "explanations_for_risk_rating": "Low for the uses above; see the caveats for others.",
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
                batch=manifest.document.get("batch"),
            ),
        },
    }
