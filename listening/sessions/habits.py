"""At what times of the day and week a listener listens, and how long then."""

from __future__ import annotations

import math
from itertools import pairwise
from operator import mul

HOUR, DAY = 3600.0, 86_400.0  # seconds

_WEIGHTS = (0.3, 0.75, 1.0, 0.75, 0.3)
"""What sessions that began up to two hours apart tell about each other."""
_REACH = len(_WEIGHTS) // 2
_KERNEL_SUM = sum(_WEIGHTS)
PRIOR_WEIGHT = 2.0
"""Sessions by whose number a mean of few is drawn towards the listener's own mean."""
HEARD = (-1, 0, 1, 2, 3, 4, 5)
"""Hours from now, of which the share in which the listener usually listens tells how long."""
ENDED = (0, 1, 2, 3)
"""Hours from now, of which the share of sessions that end in them tells how long."""

NAMES = (
    *("mean_at_this_hour", "share_at_this_hour", "recent_at_this_hour", "mean_on_this_weekday"),
    *("hour", "hour_from_usual", "hours_alike", "weekday"),
    *(f"heard_{hour:+d}h" for hour in HEARD),
    *(f"ended_{hour:+d}h" for hour in ENDED),
)


class Habits:
    """A listener's hours and weekdays, in UTC, folded over their sessions.

    Recent sessions weigh more where it says so: each weighs a little more than the one before it,
    and what is asked for is relative to the weight of all.
    """

    __slots__ = (
        *("sums", "counts", "recent_sums", "recent_counts", "day_sums", "day_counts"),
        *("heard", "ended", "cosine", "sine"),
    )

    def __init__(self) -> None:
        self.sums, self.counts = [0.0] * 24, [0.0] * 24
        self.recent_sums, self.recent_counts = [0.0] * 24, [0.0] * 24
        self.day_sums, self.day_counts = [0.0] * 7, [0.0] * 7
        self.heard, self.ended = [0.0] * 24, [0.0] * 24
        self.cosine = self.sine = 0.0

    def fold(self, start: float, end: float, log: float, weight: float) -> None:
        """Take a session into account.

        Parameters
        ----------
        start, end
            Seconds since 1970, UTC.
        log
            Of its length.
        weight
            What it weighs where recent sessions weigh more.
        """
        time = start % DAY
        hour, day = int(time // HOUR), int(start // DAY) % 7
        self.sums[hour] += log
        self.counts[hour] += 1.0
        self.recent_sums[hour] += log * weight
        self.recent_counts[hour] += weight
        self.day_sums[day] += log
        self.day_counts[day] += 1.0
        angle = time * (2 * math.pi / DAY)
        self.cosine += weight * math.cos(angle)
        self.sine += weight * math.sin(angle)
        self.ended[int(end % DAY // HOUR)] += weight
        at = start
        for _ in range(24):  # a day of it at most
            until = min((at // HOUR + 1) * HOUR, end)
            self.heard[int(at % DAY // HOUR)] += weight * (until - at) / HOUR
            if until == end:
                return
            at = until

    def features(
        self, now: float, *, mean: float, n: int, weight: float, whole: float
    ) -> list[float]:
        """Return the features of a moment, as `NAMES` names them.

        Parameters
        ----------
        now
            Seconds since 1970, UTC.
        mean
            Of the logarithms of the lengths.
        n, weight, whole
            Number of sessions, the weight of the last one and that of all.
        """
        exact = now % DAY / HOUR
        hour, day = int(exact), int(now // DAY) % 7
        # Three days of it, so that what surrounds an hour is one slice.
        around = slice(hour + 24 - _REACH, hour + 25 + _REACH)
        sums = sum(map(mul, _WEIGHTS, (self.sums * 3)[around]))
        counts = sum(map(mul, _WEIGHTS, (self.counts * 3)[around]))
        recent_sums = sum(map(mul, _WEIGHTS, (self.recent_sums * 3)[around]))
        recent_counts = sum(map(mul, _WEIGHTS, (self.recent_counts * 3)[around]))
        at_hour = (sums + PRIOR_WEIGHT * mean) / (counts + PRIOR_WEIGHT)
        floor = PRIOR_WEIGHT * weight
        usual = math.atan2(self.sine, self.cosine) * (24 / (2 * math.pi))
        into = exact - hour
        heard = (self.heard * 3)[hour + 24 + HEARD[0] : hour + 26 + HEARD[-1]]
        ended = (self.ended * 3)[hour + 24 + ENDED[0] : hour + 26 + ENDED[-1]]
        return [
            at_hour,
            counts / (_KERNEL_SUM * n),
            (recent_sums + floor * at_hour) / (recent_counts + floor),
            (self.day_sums[day] + PRIOR_WEIGHT * mean) / (self.day_counts[day] + PRIOR_WEIGHT),
            exact,
            (exact - usual + 12) % 24 - 12,
            math.hypot(self.cosine, self.sine) / whole,
            float(day),
            *[(a + into * (b - a)) / whole for a, b in pairwise(heard)],
            *[(a + into * (b - a)) / whole for a, b in pairwise(ended)],
        ]

    def divide(self, by: float) -> None:
        """Divide all weights of what weighs recent sessions more."""
        self.cosine /= by
        self.sine /= by
        self.recent_sums = [value / by for value in self.recent_sums]
        self.recent_counts = [value / by for value in self.recent_counts]
        self.heard = [value / by for value in self.heard]
        self.ended = [value / by for value in self.ended]


def of_nobody(now: float) -> list[float]:
    """Return the features of a moment of somebody without sessions."""
    known = {"hour": now % DAY / HOUR, "weekday": float(int(now // DAY) % 7)}
    return [known.get(name, math.nan) for name in NAMES]
