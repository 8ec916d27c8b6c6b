"""How each system is asked from the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.charts import command_line as charts
from ops.churn import command_line as churn
from ops.country import command_line as country
from ops.sessions import command_line as sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ops.cli.question import Question
    from ops.cli.target import Target
    from ops.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a system is asked from the command line.

    Parameters
    ----------
    invoke
        The command `invoke`.
    ask_some
        Asks about a few listeners of a features run's test split.
    say_some
        Prints what `ask_some` returned; its keyword ``synthetic`` says whether they are invented.
    all_scores
        Arguments with which the scoring job writes all scores, beside the best.
    """

    invoke: Callable[[Target, Question], None]
    ask_some: Callable[[Connection, str], list[Any]]
    say_some: Callable[..., None]
    all_scores: Mapping[str, str] = field(default_factory=dict)


ASKING = {
    "country": Asking(
        invoke=country.invoke,
        ask_some=country.ask_some,
        say_some=country.say_some,
        all_scores=country.ALL_SCORES,
    ),
    "sessions": Asking(
        invoke=sessions.invoke, ask_some=sessions.ask_some, say_some=sessions.say_some
    ),
    "churn": Asking(invoke=churn.invoke, ask_some=churn.ask_some, say_some=churn.say_some),
    "charts": Asking(invoke=charts.invoke, ask_some=charts.ask_some, say_some=charts.say_some),
}
"""By system; one that is missing here cannot be asked from the command line."""
