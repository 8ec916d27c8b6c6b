"""Glue job: recent captured answers beside those to the champion's test sessions.

Arguments as in `glue_jobs.drift`, and
--------------------------------------
max_median_length, max_sessions_used = 0.2
    The largest accepted shift of each measure.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from glue_jobs.drift import run
from listening.sessions.answer_profile import answer_profile
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.drift import Profile


def profile_of(answers: list[dict[str, Any]]) -> Profile:
    """Return the profile of the answers about sessions that begin."""
    told = [a for a in answers if "length_s" in a and "remaining_s" not in a]
    return answer_profile(
        medians=np.array([answer["length_s"]["0.5"] for answer in told], dtype=np.float64),
        sessions_used=np.array([answer["sessions_used"] for answer in told], dtype=np.int64),
    )


def main(argv: Sequence[str]) -> None:
    """Compare the answers of the sessions system."""
    run(argv, SYSTEMS["sessions"], profile_of)


if __name__ == "__main__":
    main(sys.argv)
