"""Glue job: recent captured answers beside those of the champion's test listeners.

Arguments as in `glue_jobs.drift`, and
--------------------------------------
max_artist_coverage, max_list_length, max_confidence, max_country = 0.2
    The largest accepted shift of each measure.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from glue_jobs.drift import run
from listening.country.answer_profile import answer_profile
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.drift import Profile


def profile_of(answers: list[dict[str, Any]]) -> Profile:
    """Return the profile of the answers that name a country to a listener's artists.

    Those by region alone and those to feature vectors do not tell all measures.
    """
    told = [answer for answer in answers if answer.get("countries") and "known_artists" in answer]
    likeliest = [answer["countries"][0] for answer in told]
    return answer_profile(
        known=np.array([answer["known_artists"] for answer in told], dtype=np.int64),
        unknown=np.array([answer["unknown_artists"] for answer in told], dtype=np.int64),
        countries=[country["country"] for country in likeliest],
        probabilities=np.array([country["probability"] for country in likeliest]),
    )


def main(argv: Sequence[str]) -> None:
    """Compare the answers of the country system."""
    run(argv, SYSTEMS["country"], profile_of, names=("country",))


if __name__ == "__main__":
    main(sys.argv)
