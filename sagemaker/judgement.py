"""What a system's judge is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gate import Decision
    from job import Job
    from listening.archive import Archive
    from listening.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is to be judged.

    Parameters
    ----------
    job
        Channels as the system's entry says; the bundle goes into its model folder, files of the
        report into its output folder.
    models
        The archives that this execution trained.
    champion
        The archive that is served now; None where it is the prior, which anyone may beat.
    """

    job: Job
    models: tuple[Archive, ...]
    champion: Archive | None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How the candidate did.

    Parameters
    ----------
    version
        Of the bundle that the judge wrote.
    metrics
        On the test split; those of the gate among them.
    differences
        Its metrics minus another's, paired, by the other.
    against_champion
        The same minus the champion's; empty where there is none, or nothing in common.
    document
        What ``evaluation.json`` holds, but for the gate's decision: ``bundle_version``,
        ``synthetic``, ``metrics`` and whatever the system has to say.
    report, card
        The report's HTML and the model card's content, once the gate has decided.
    rules
        Hyperparameters by which the judge compared, for the decision's record.
    """

    version: str
    metrics: Mapping[str, float]
    differences: Mapping[str, Mapping[str, Interval]]
    against_champion: Mapping[str, Interval]
    document: Mapping[str, Any]
    report: Callable[[Decision], str]
    card: Callable[[Decision], dict[str, Any]]
    rules: Mapping[str, Any] = field(default_factory=dict)


Judge = Callable[[Case], Judgement]
"""Writes the bundle and judges it."""
