"""What country says in the model card of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model_card import LONGEST_SETTING, custom_details, evaluation_details

if TYPE_CHECKING:
    from country.evaluation import Evaluation, Subject
    from country.fitting import Training
    from gate import Decision

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
            "model_artifact": [f"bundle.tar.gz of bundle {bundle.version}"],
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
        "evaluation_details": evaluation_details(evaluation.intervals, features_run=manifest.run),
        "additional_information": {
            "ethical_considerations": LIMITS[-1],
            "caveats_and_recommendations": " ".join(LIMITS[:-1]),
            "custom_details": custom_details(
                decision,
                version=bundle.version,
                synthetic=manifest.synthetic,
                features_run=manifest.run,
                embeddings_run=run.get("embeddings_run"),
                batch=run.get("batch"),
                split_salt=run.get("salt"),
                dropped_countries=", ".join(_names(run.get("dropped_countries", []))),
            ),
        },
    }


def _settings(training: Training) -> str:
    """Return a model's settings in one line, as short as the schema wants them."""
    settings = training.recipe.to_json()
    settings["blocks"] = "+".join(settings["blocks"])
    return " ".join(f"{name}={value}" for name, value in settings.items())[:LONGEST_SETTING]


def _names(countries: list[Any]) -> list[str]:
    return [str(entry["name"]) for entry in countries]
