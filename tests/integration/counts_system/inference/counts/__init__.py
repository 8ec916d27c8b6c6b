"""Counts: a listener in, the plays that they are expected to have out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.counts import BUNDLE, MODEL, PRIOR, expected_plays

from inference.bodies import read_json, write_json
from inference.media import JSON, choose_reader, negotiate
from listening.errors import RequestError

if TYPE_CHECKING:
    from listening.archive import Archive


class CountsHandler:
    """Answers with an archive of any kind."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._plays = expected_plays(archive.content.get("mean_log"))

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request."""
        media_type = negotiate(accept, content_type, [JSON])
        read, _ = choose_reader(content_type, {JSON: read_json})
        question = read(body, '{"user_id": "…"}')
        if "user_id" not in question:
            raise RequestError("user_id: is missing")
        document = {
            "user_id": question["user_id"],
            "plays": self._plays,
            "bundle_version": self.archive.version,
        }
        return write_json([document], single=True), media_type


HANDLERS = dict.fromkeys((BUNDLE, MODEL, PRIOR), CountsHandler)
