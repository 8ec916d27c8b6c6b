"""Whether a bundle may be published: rules from hyperparameters, a decision with its reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from listening.errors import DataError
from listening.metrics import LOWER_IS_BETTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from listening.metrics import Interval

APPROVED, REJECTED = "Approved", "Rejected"

METRICS = ("log_loss", "accuracy", "top5", "macro_f1", "macro_top5")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The gate's settings, each a hyperparameter of the task ``assemble``.

    Parameters
    ----------
    gate_metrics
        A bundle that is significantly worse than the champion on one of these is refused.
    gate_min_listeners
        Countries with fewer test listeners are left out of the comparison with the champion.
    """

    gate_metrics: tuple[str, ...] = METRICS
    gate_min_listeners: int = 1

    @classmethod
    def of(cls, hyperparameters: Mapping[str, str]) -> Rules:
        """Read the rules from hyperparameters.

        Raises
        ------
        DataError
            A metric is not known, or the number is none.
        """
        metrics = hyperparameters.get("gate_metrics", ",".join(METRICS)).split(",")
        minimum = hyperparameters.get("gate_min_listeners", "1")
        unknown = [metric for metric in metrics if metric not in METRICS]
        if unknown:
            raise DataError(
                f"hyperparameter 'gate_metrics': no metric {', '.join(unknown)}; "
                f"choose of {', '.join(METRICS)}"
            )
        if not minimum.isdigit() or int(minimum) < 1:
            raise DataError(
                f"hyperparameter 'gate_min_listeners' must be 1 or more, got '{minimum}'"
            )
        return cls(gate_metrics=tuple(metrics), gate_min_listeners=int(minimum))


RULES = frozenset(field.name for field in fields(Rules))
"""Names of the hyperparameters that set the gate."""


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
        The settings.
    """

    approved: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    rules: Rules

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain data."""
        return {
            "decision": APPROVED if self.approved else REJECTED,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "rules": asdict(self.rules),
        }


def decide(
    rules: Rules,
    *,
    against_prior: Mapping[str, Interval],
    against_flat: Mapping[str, Interval],
    against_champion: Mapping[str, Interval],
    champion: str | None,
) -> Decision:
    """Decide on a bundle.

    Parameters
    ----------
    rules
        The settings.
    against_prior, against_flat, against_champion
        The chain's metrics minus the other's, with paired 95% intervals.
    champion
        The champion's version; None without one.
    """
    refusals: list[str] = []
    reasons: list[str] = []
    loss = against_prior["log_loss"]
    sentence = f"log loss {abs(loss.value):.4f} {_side(loss.value)} the prior's"
    (reasons if loss.value < 0 else refusals).append(sentence)
    if champion is not None and not against_champion:
        reasons.append(f"champion {champion} shares no countries with this bundle")
    for metric in rules.gate_metrics if against_champion else ():
        difference = against_champion[metric]
        if _worse(metric, difference):
            refusals.append(f"worse than champion {champion}: {_told(metric, difference)}")
    if against_champion and not refusals:
        reasons.append(
            f"not significantly worse than champion {champion} on {', '.join(rules.gate_metrics)}"
        )
    if champion is None:
        reasons.append("there is no champion yet")
    warnings = [
        f"worse than the flat model: {_told(metric, against_flat[metric])}"
        for metric in rules.gate_metrics
        if (against_flat[metric].value > 0) == (metric in LOWER_IS_BETTER)
        and against_flat[metric].value
    ]
    return Decision(
        approved=not refusals,
        reasons=tuple(refusals or reasons),
        warnings=tuple(warnings),
        rules=rules,
    )


def _worse(metric: str, difference: Interval) -> bool:
    """Tell whether the whole interval lies on the worse side."""
    return difference.low > 0 if metric in LOWER_IS_BETTER else difference.high < 0


def _side(value: float) -> str:
    return "below" if value < 0 else "above"


def _told(metric: str, difference: Interval) -> str:
    return (
        f"{metric} {difference.value:+.4f} "
        f"(95% interval {difference.low:+.4f} to {difference.high:+.4f})"
    )
