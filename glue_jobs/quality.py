"""Limits of data quality: a breach stops a job before anything is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glue_jobs.job import Arguments


@dataclass(frozen=True)
class Limits:
    """The largest figures that are accepted, each by the name of the job's argument for it."""

    most: Mapping[str, float]

    @classmethod
    def of(cls, arguments: Arguments, default: Mapping[str, float]) -> Limits:
        """Read the limits from a job's arguments."""
        return cls({name: arguments.get(name, limit) for name, limit in default.items()})

    def check(self, name: str, figure: float, what: str) -> None:
        """Refuse a figure above its limit.

        Raises
        ------
        DataError
            Says what, the figure, the limit and its argument.
        """
        limit = self.most[name]
        if not figure <= limit:
            raise DataError(
                f"{what} is {figure:.3f}, above the limit of {limit:g}; "
                f"look at the raw data, or raise --{name} if this is as it should be"
            )
