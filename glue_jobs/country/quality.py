"""Checks of the quality of country's data, with their limits.

Plain arithmetic on counts that the jobs have anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glue_jobs.quality import Limits

CLEANING = {
    "max_dropped_share": 0.2,
    "max_filled_share": 0.5,
    "max_null_share": 0.9,
    "max_unknown_share": 0.6,
}
"""The largest shares that `check_cleaning` accepts."""
LABELS = {"max_unusable_country_share": 0.9, "max_label_shift": 0.25}
"""The largest share and the largest shift that the job `features` accepts of its labels."""


def check_cleaning(quality: Mapping[str, Any], limits: Limits) -> None:
    """Check what cleaning dropped, filled and missed, and what the vocabulary leaves out.

    A data set without any total of scrobbles passes: it has no such column, and its features none.
    """
    plays = quality["plays"]
    rows, kept = max(plays["rows_in"], 1), max(plays["rows_out"], 1)
    dropped = sum(plays["dropped"].values())
    limits.check("max_dropped_share", dropped / rows, "the share of plays dropped by cleaning")
    limits.check(
        "max_filled_share",
        plays["playcount_filled"] / kept,
        "the share of play counts that are not numbers",
    )
    listeners, with_total = (
        quality["listeners"][name] for name in ("rows_out", "with_total_scrobbles")
    )
    if with_total:
        limits.check(
            "max_null_share",
            1 - with_total / listeners,
            "the share of listeners whose total_scrobbles is missing",
        )
    limits.check(
        "max_unknown_share",
        quality["artists"]["plays_of_artists_left_out"] / kept,
        "the share of plays of artists with too few listeners",
    )


def label_shift(now: Mapping[str, int], before: Mapping[str, int]) -> float:
    """Return the population stability index of two distributions of countries.

    Σ (p - q) · ln(p / q) over all countries of either, each count raised by one half; below 0.1 is
    commonly read as stable, above 0.25 as another population.
    """
    countries = sorted(set(now) | set(before))
    p, q = (
        np.array([counts.get(country, 0) + 0.5 for country in countries])
        for counts in (now, before)
    )
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((p - q) * np.log(p / q)))


def check_features(summary: Mapping[str, Any], layout_width: int) -> None:
    """Refuse features that no model should learn from.

    Parameters
    ----------
    summary
        ``rows``, ``width_least``, ``width_most``, ``out_of_range`` of the written features.
    layout_width
        How many features there must be.
    """
    if not summary["width_least"] == summary["width_most"] == layout_width:
        raise DataError(
            f"features: listeners have {summary['width_least']} to {summary['width_most']} "
            f"features, the layout {layout_width}; this is a fault of the job, report it"
        )
    if summary["out_of_range"]:
        raise DataError(
            f"features: {summary['out_of_range']} of {summary['rows']} listeners have a feature "
            "that is no number of its block's range; this is a fault of the job, report it"
        )
