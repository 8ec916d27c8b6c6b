"""The project's own errors: each says what was wrong, where, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ListeningError(Exception):
    """Base of every error that this project raises on purpose."""


class DataError(ListeningError):
    """Raw data or a table made from it is unusable: names the file, the column and the remedy."""


class LayoutError(ListeningError):
    """Features do not have the layout that a model was trained on."""


class ArchiveError(ListeningError):
    """A model archive is missing, corrupted, or of a format that this version does not read."""


class RequestError(ListeningError):
    """A caller's request cannot be answered: names the offending field.

    Parameters
    ----------
    message
        What is wrong and what is accepted instead.
    status
        The HTTP status that the endpoint answers with: 400, 404, 406, 413 or 415.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class ResourceError(ListeningError):
    """Something that should exist in AWS (a stack, an endpoint, a champion) does not."""


MOST_NAMES = 8


def named(names: Sequence[str]) -> str:
    """Return names for a sentence: the first `MOST_NAMES`, and how many more there are."""
    more = len(names) - MOST_NAMES
    some = ", ".join(names[:MOST_NAMES]) or "nothing"
    return f"{some} and {more:,} more" if more > 0 else some
