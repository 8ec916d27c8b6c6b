"""A training job's hyperparameters, which are all texts."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from _typeshed import DataclassInstance

    from job import Job

    Settings = TypeVar("Settings", bound=DataclassInstance)

SEED = 1
ALWAYS = ("task", "item", "seed")
"""What every task may be given."""


def overridden(settings: Settings, hyperparameters: Mapping[str, str]) -> Settings:
    """Return settings with the hyperparameters that name one of them.

    Raises
    ------
    DataError
        A value is not of the setting's type, or out of its range.
    """
    changes: dict[str, Any] = {}
    for field in fields(settings):
        if field.name not in hyperparameters:
            continue
        text = hyperparameters[field.name]
        kind = type(getattr(settings, field.name))
        try:
            changes[field.name] = (
                tuple(filter(None, text.split(","))) if kind is tuple else kind(text)
            )
        except ValueError as error:
            raise DataError(
                f"hyperparameter '{field.name}' must be of type {kind.__name__}, got '{text}'"
            ) from error
    return replace(settings, **changes)


def check_ranges(settings: DataclassInstance, rules: Mapping[str, bool]) -> None:
    """Refuse settings outside their range.

    Parameters
    ----------
    settings
        What hyperparameters may override.
    rules
        By a setting's name: whether it is within its range.

    Raises
    ------
    DataError
        Names the first that is not.
    """
    for name, holds in rules.items():
        if not holds:
            raise DataError(
                f"hyperparameter '{name}' is out of its range: {getattr(settings, name)}"
            )


def refuse_unknown(job: Job, known: Collection[str]) -> None:
    """Refuse a hyperparameter that nothing reads.

    Raises
    ------
    DataError
        Names it, and those that are known beside `ALWAYS`.
    """
    unknown = set(job.hyperparameters) - {*known, *ALWAYS}
    if unknown:
        raise DataError(
            f"unknown hyperparameter {', '.join(sorted(unknown))}; "
            f"known are {', '.join((*ALWAYS, *sorted(known)))}"
        )


def seed_of(job: Job) -> int:
    """Return the hyperparameter ``seed``."""
    text = job.hyperparameters.get("seed", str(SEED))
    if not text.isdigit():
        raise DataError(f"hyperparameter 'seed' must be a whole number of 0 or more, got '{text}'")
    return int(text)
