"""Glue job: recent captured answers beside those to the champion's test listeners.

Arguments as in `glue_jobs.drift`, and
--------------------------------------
max_risk, max_recency = 0.2
    The largest accepted shift of each measure.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from glue_jobs.drift import run
from listening.churn.answer_profile import answer_profile
from listening.churn.features import LOOK_BACK
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listening.drift import Profile


def profile_of(answers: list[dict[str, Any]]) -> Profile:
    """Return the profile of the answers about listeners who were active lately."""
    told = [answer for answer in answers if answer.get("in_population")]
    days = [_days(answer["as_of"]) - _days(answer["last_active"]) for answer in told]
    return answer_profile(
        risk=np.array([answer["gone"][-1]["probability"] for answer in told], dtype=np.float64),
        recency=np.minimum(np.array(days, dtype=np.int64), LOOK_BACK + 1),
    )


def _days(date: str) -> int:
    return int(np.datetime64(date, "D").astype(np.int64))


def main(argv: Sequence[str]) -> None:
    """Compare the answers of the churn system."""
    run(argv, SYSTEMS["churn"], profile_of)


if __name__ == "__main__":
    main(sys.argv)
