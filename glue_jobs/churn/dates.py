"""At which dates listeners are looked at, and which of them are trained, validated and tested on.

A date is the beginning of a day, counted from 1970. What follows it must be wholly inside the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from listening.churn.features import POPULATION

SHARE = 0.2
"""Of the dates for test, the last ones, and as many before them for validation."""


@dataclass(frozen=True)
class Dates:
    """Dates, rising, by what they are for.

    Parameters
    ----------
    train, validation, test
        The same dates thrice where there are too few to divide.
    rest
        Dates whose days ahead end before the first test date: once a family is chosen, all
        listeners but those of the test are learned from at these.
    by_time
        Whether they are divided: what follows a date of one part then ends before the next part's
        first date.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    rest: tuple[int, ...]
    by_time: bool

    @classmethod
    def of(cls, log: tuple[int, int], *, every: int, ahead: int) -> Dates:
        """Return the dates of a log.

        Parameters
        ----------
        log
            Its first and its last day; the last one may be cut off, and is not relied on.
        every
            Days from one date to the next, counted back from the last.
        ahead
            Days after a date that must be known.
        """
        first, last = log
        dates = tuple(range(last - ahead, first + POPULATION - 1, -every))[::-1]
        n = round(len(dates) * SHARE)
        test = dates[len(dates) - n :] if n else ()
        before = tuple(date for date in dates if test and date + ahead <= test[0])
        validation = before[-n:] if n else ()
        train = tuple(date for date in before if validation and date + ahead <= validation[0])
        if not train:
            return cls(dates, dates, dates, (), by_time=False)
        return cls(train, validation, test, before, by_time=True)

    @property
    def all(self) -> tuple[int, ...]:
        """Every date once, rising."""
        return tuple(sorted({*self.train, *self.validation, *self.test, *self.rest}))

    def to_json(self) -> dict[str, Any]:
        """Return the dates as plain data."""
        return {
            "by_time": self.by_time,
            "train": list(self.train),
            "validation": list(self.validation),
            "test": list(self.test),
            "rest": list(self.rest),
        }
