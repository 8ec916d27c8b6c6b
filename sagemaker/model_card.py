"""What the model cards of all systems hold, in the form of SageMaker's model-card JSON schema."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

from listening import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate import Decision
    from listening.intervals import Interval

LIBRARIES = ("lightgbm", "numpy", "scipy", "scikit-learn", "pyarrow")

LONGEST, LONGEST_SETTING = 1024, 255
"""Characters that SageMaker's schema allows for a detail and for a hyperparameter."""


def evaluation_details(
    intervals: Mapping[str, Mapping[str, Interval]], *, features_run: str
) -> list[dict[str, Any]]:
    """Return how each model did on the test split of a features run.

    Parameters
    ----------
    intervals
        Metrics by model, the bundle's first.
    features_run
        The run's id.
    """
    return [
        {
            "name": f"test listeners: {name}",
            "datasets": [f"features run {features_run}, split test"],
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
                        for metric, interval in metrics.items()
                    ],
                }
            ],
        }
        for name, metrics in intervals.items()
    ]


def custom_details(
    decision: Decision, *, version: str, synthetic: bool, **details: object
) -> dict[str, str]:
    """Return which bundle it is, what the gate decided, and what the bundle was made from and by.

    Parameters
    ----------
    decision
        The gate's.
    version, synthetic
        Of the bundle.
    details
        What else the system has to say.
    """
    told = {
        "bundle_version": version,
        "synthetic": str(synthetic).lower(),
        "gate_decision": decision.verdict,
        "gate_reasons": "; ".join(decision.reasons),
        **details,
        "listening": __version__,
        **{library: version_of(library) for library in LIBRARIES},
    }
    return {name: str(detail)[:LONGEST] for name, detail in told.items()}
