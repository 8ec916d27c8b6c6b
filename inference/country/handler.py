"""The handler of country's archives: a request's body in, the answer's body out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.country.answers import answerer_of
from inference.country.inputs import parse
from inference.country.outputs import WRITERS, write
from inference.media import negotiate
from listening.country.bundle import BUNDLE, PRIOR, SINGLE, read

if TYPE_CHECKING:
    from listening.archive import Archive


class CountryHandler:
    """Answers with an archive of any of country's kinds."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.answerer = answerer_of(read(archive))

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request; see `inference.handlers.Handler`."""
        media_type = negotiate(accept, content_type, WRITERS)
        return write(self.answerer.answer(parse(body, content_type)), media_type), media_type


HANDLERS = dict.fromkeys((BUNDLE, SINGLE, PRIOR), CountryHandler)
