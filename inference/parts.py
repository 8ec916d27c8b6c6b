"""The handler of archives that are a part of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listening.errors import RequestError

if TYPE_CHECKING:
    from listening.archive import Archive


class PartHandler:
    """Says where to ask: one model alone answers nothing."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Refuse."""
        del body, content_type, accept
        name = self.archive.content.get("name")
        raise RequestError(
            f"target '{name}' is one model of a bundle; ask bundle.tar.gz of the same version"
        )
