"""The bundle's model card, in the form of SageMaker's model-card JSON schema."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from country.evaluation import CHAIN, Evaluation, Subject
from listening import __version__

if TYPE_CHECKING:
    from country.fitting import Training
    from gate import Decision

LIBRARIES = ("lightgbm", "numpy", "scipy", "scikit-learn", "pyarrow")

LONGEST, LONGEST_SETTING = 1024, 255
"""Characters that SageMaker's schema allows for a detail and for a hyperparameter."""

LIMITS = (
    "The label is what a listener wrote into a profile: some are jokes (Antarctica), some are old.",
    "Listeners of one platform are no sample of a country: they are younger and hear more English "
    "and more niche music than their neighbours.",
    "Rare countries are guessed badly: see the recall by country before relying on one.",
    "The answer is a guess about taste. It must not be used to decide about a person (credit, "
    "employment, policing, border control, prices), nor to infer ethnicity or nationality.",
)


def model_card(subject: Subject, evaluation: Evaluation, decision: Decision) -> dict[str, Any]:
    """Return the card.

    Parameters
    ----------
    subject
        What was judged.
    evaluation
        How it did.
    decision
        What the gate decided.
    """
    manifest, bundle = subject.manifest, subject.bundle
    generated = " The listeners are SYNTHETIC: the figures say nothing of real ones."
    run = manifest.document
    return {
        "model_overview": {
            "model_description": (
                "Which country a listener is from, judged by the artists they play: a region model "
                "and a country model for each region, chained."
                + (generated if manifest.synthetic else "")
            ),
            "problem_type": "Multiclass Classification",
            "algorithm_type": "Gradient boosted trees (LightGBM) on artist affinities",
            "model_artifact": [f"hierarchy.tar.gz of bundle {bundle.version}"],
        },
        "intended_uses": {
            "purpose_of_model": "Guess the country of listeners who did not give one.",
            "intended_uses": "Statistics over many listeners; defaults that a listener can change.",
            "factors_affecting_model_efficiency": (
                "Few artists, artists that the bundle does not know, and countries with few "
                "training listeners make the answer uncertain; the probabilities say so."
            ),
            "risk_rating": "Low",
            "explanations_for_risk_rating": "Low for the uses above; see the caveats for others.",
        },
        "training_details": {
            "training_observations": (
                f"{len(subject.train)} training and {len(subject.validation)} validation listeners "
                f"of {len(subject.flat_task.classes)} countries in "
                f"{len(manifest.regions.regions)} regions, split by a hash of the listener's id."
            ),
            "training_job_details": {
                "training_datasets": [f"features run {manifest.run}"],
                "hyper_parameters": [
                    {"name": name, "value": _settings(training)}
                    for name, training in subject.trainings.items()
                ],
            },
        },
        "evaluation_details": [
            {
                "name": f"test listeners: {name}",
                "datasets": [f"features run {manifest.run}, split test"],
                "metric_groups": [
                    {
                        "name": "metrics with 95% bootstrap intervals",
                        "metric_data": [
                            {
                                "name": metric,
                                "type": "number",
                                "value": interval.value,
                                "notes": f"{interval.low:.4f} to {interval.high:.4f}",
                            }
                            for metric, interval in intervals.items()
                        ],
                    }
                ],
            }
            for name, intervals in sorted(
                evaluation.intervals.items(), key=lambda item: item[0] != CHAIN
            )
        ],
        "additional_information": {
            "ethical_considerations": LIMITS[-1],
            "caveats_and_recommendations": " ".join(LIMITS[:-1]),
            "custom_details": {
                "bundle_version": bundle.version,
                "synthetic": str(manifest.synthetic).lower(),
                "gate_decision": decision.to_json()["decision"],
                "gate_reasons": "; ".join(decision.reasons),
                "features_run": manifest.run,
                "embeddings_run": str(run.get("embeddings_run")),
                "batch": str(run.get("batch")),
                "split_salt": str(run.get("salt")),
                "dropped_countries": ", ".join(_names(run.get("dropped_countries", [])))[:LONGEST],
                "listening": __version__,
                **{library: version(library) for library in LIBRARIES},
            },
        },
    }


def _settings(training: Training) -> str:
    """Return a model's settings in one line, as short as the schema wants them."""
    settings = training.recipe.to_json()
    settings["blocks"] = "+".join(settings["blocks"])
    return " ".join(f"{name}={value}" for name, value in settings.items())[:LONGEST_SETTING]


def _names(countries: list[Any]) -> list[str]:
    return [str(entry["name"]) for entry in countries]
