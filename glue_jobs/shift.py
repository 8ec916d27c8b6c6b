"""How far two profiles of answers are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

if TYPE_CHECKING:
    from collections.abc import Mapping

Counts = dict[str, int]


def shifts(reference: Mapping[str, Counts], recent: Mapping[str, Counts]) -> dict[str, float]:
    """Return the distance of each measure's distributions, from 0 (the same) to 1.

    Of numbers the Kolmogorov-Smirnov statistic, of countries the Jensen-Shannon distance with
    logarithms to the base 2. A test's p-value would call the smallest shift of many listeners one.

    Parameters
    ----------
    reference, recent
        Profiles of at least one listener each, see `listening.answer_profile`.
    """
    return {
        measure: countries_apart(reference[measure], recent[measure])
        if measure == "country"
        else numbers_apart(reference[measure], recent[measure])
        for measure in reference
    }


def numbers_apart(reference: Counts, recent: Counts) -> float:
    """Return the Kolmogorov-Smirnov statistic of two counts of numbers."""
    first, second = (
        np.repeat(np.array([float(value) for value in counts]), list(counts.values()))
        for counts in (reference, recent)
    )
    return float(ks_2samp(first, second, method="asymp").statistic)


def countries_apart(reference: Counts, recent: Counts) -> float:
    """Return the Jensen-Shannon distance of two counts of countries."""
    countries = sorted(set(reference) | set(recent))
    first, second = ([counts.get(c, 0) for c in countries] for counts in (reference, recent))
    return float(jensenshannon(first, second, base=2))


def breaches(found: Mapping[str, float], most: Mapping[str, float]) -> list[str]:
    """Return the measures whose shift is above the most that is accepted."""
    return [measure for measure, value in found.items() if value > most[measure]]
