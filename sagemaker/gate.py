"""Whether a bundle may be published: the rules of a system's entry, a decision with its reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from listening.errors import DataError
from listening.systems import GATE_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listening.intervals import Interval
    from listening.systems import Gate, Metric

APPROVED, REJECTED = "Approved", "Rejected"


def gate_of(gate: Gate, hyperparameters: Mapping[str, str]) -> Gate:
    """Return a system's gate with the metrics that hyperparameter ``gate_metrics`` chooses.

    Raises
    ------
    DataError
        A metric is not known.
    """
    known = [metric.name for metric in gate.metrics]
    chosen = hyperparameters.get(GATE_METRICS, ",".join(known)).split(",")
    unknown = [metric for metric in chosen if metric not in known]
    if unknown:
        raise DataError(
            f"hyperparameter '{GATE_METRICS}': no metric {', '.join(unknown)}; "
            f"choose of {', '.join(known)}"
        )
    return replace(gate, metrics=tuple(gate[metric] for metric in chosen))


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gate decided.

    Parameters
    ----------
    approved
        Whether the bundle may be published.
    reasons
        Why, in sentences.
    warnings
        What an owner should know although it does not decide.
    rules
        The settings, by hyperparameter.
    """

    approved: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    rules: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """`APPROVED` or `REJECTED`."""
        return APPROVED if self.approved else REJECTED

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain data."""
        return {
            "decision": self.verdict,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "rules": dict(self.rules),
        }


def decide(
    gate: Gate,
    *,
    differences: Mapping[str, Mapping[str, Interval]],
    against_champion: Mapping[str, Interval],
    champion: str | None,
    rules: Mapping[str, Any],
) -> Decision:
    """Decide on a bundle.

    Parameters
    ----------
    gate
        The system's, see `gate_of`.
    differences
        The bundle's metrics minus another's, with paired 95% intervals, by the other: the gate's
        baseline and peer among them.
    against_champion
        The same minus the champion's; empty where the two have nothing to be compared on.
    champion
        The champion's version; None without one.
    rules
        Further settings that the judge went by.
    """
    refusals: list[str] = []
    reasons: list[str] = []
    names = [metric.name for metric in gate.metrics]
    found = differences[gate.baseline][gate.decider.name].value
    sentence = (
        f"{_words(gate.decider.name)} {abs(found):.4f} {_side(found)} the {_words(gate.baseline)}'s"
    )
    (reasons if _better(gate.decider, found) else refusals).append(sentence)
    if champion is not None and not against_champion:
        reasons.append(f"champion {champion} has nothing in common with this bundle to compare")
    for metric in gate.metrics if against_champion else ():
        difference = against_champion[metric.name]
        if _surely_worse(metric, difference):
            refusals.append(f"worse than champion {champion}: {_told(metric, difference)}")
    if against_champion and not refusals:
        reasons.append(f"not significantly worse than champion {champion} on {', '.join(names)}")
    if champion is None:
        reasons.append("there is no champion yet")
    warnings = [
        f"worse than the {_words(peer)} model: {_told(metric, differences[peer][metric.name])}"
        for peer in ([gate.peer] if gate.peer else [])
        for metric in gate.metrics
        if _better(metric, -differences[peer][metric.name].value)
    ]
    return Decision(
        approved=not refusals,
        reasons=tuple(refusals or reasons),
        warnings=tuple(warnings),
        rules={GATE_METRICS: names, **rules},
    )


def _better(metric: Metric, difference: float) -> bool:
    return difference < 0 if metric.lower_is_better else difference > 0


def _surely_worse(metric: Metric, difference: Interval) -> bool:
    """Tell whether the whole interval lies on the worse side."""
    return difference.low > 0 if metric.lower_is_better else difference.high < 0


def _words(name: str) -> str:
    return name.replace("_", " ")


def _side(value: float) -> str:
    return "below" if value < 0 else "above"


def _told(metric: Metric, difference: Interval) -> str:
    return (
        f"{metric.name} {difference.value:+.4f} "
        f"(95% interval {difference.low:+.4f} to {difference.high:+.4f})"
    )
