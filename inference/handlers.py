"""Which handler answers with which kind of archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from inference.charts.handler import HANDLERS as CHARTS
from inference.churn.handler import HANDLERS as CHURN
from inference.country.handler import HANDLERS as COUNTRY
from inference.sessions.handler import HANDLERS as SESSIONS
from listening.archive import Archive, load
from listening.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Handler(Protocol):
    """A loaded archive, ready to answer."""

    archive: Archive

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Return a response's body and its media type.

        Parameters
        ----------
        body, content_type, accept
            The request, of which nothing is trusted.

        Raises
        ------
        RequestError
            The request cannot be answered: names the field, and holds the HTTP status.
        """
        ...


HANDLERS: Mapping[str, Callable[[Archive], Handler]] = {
    **COUNTRY,
    **SESSIONS,
    **CHURN,
    **CHARTS,
}
"""By the archive's kind."""


def load_handler(folder: Path, *, verify: bool = True) -> Handler:
    """Load an unpacked archive.

    Parameters and errors as in `listening.archive.load`; an archive of an unknown kind, or whose
    content does not fit its kind, is an `ArchiveError` too.
    """
    archive = load(folder, verify=verify)
    if archive.kind not in HANDLERS:
        raise ArchiveError(
            f"{archive.manifest}: unknown kind {archive.kind!r}; this image answers with "
            f"{', '.join(HANDLERS)}"
        )
    return HANDLERS[archive.kind](archive)
