"""What `listening invoke` was asked; each system takes what it knows, and refuses the rest."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import typer

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Question:
    """The options of the command, empty where they were not given.

    Parameters
    ----------
    file
        What to ask about; ``-`` for stdin.
    artist
        Artists as ``NAME`` or ``NAME:PLAYS``.
    k
        How many of the likeliest.
    explain
        Whether to say why.
    now
        The moment asked about.
    version
        Bundle version; None for the champion.
    """

    file: Path | None = None
    artist: tuple[str, ...] = ()
    k: int | None = None
    explain: bool = False
    now: str | None = None
    version: str | None = None

    def only(self, known: Collection[str], *, system: str) -> None:
        """Refuse an option that a system does not know, beside ``file`` and ``version``."""
        for field in fields(self):
            given = getattr(self, field.name)
            if given and field.name not in (*known, "file", "version"):
                option = f"-{field.name}" if len(field.name) == 1 else f"--{field.name}"
                raise typer.BadParameter(f"{option} is nothing that {system} is asked with")

    def content(self) -> tuple[bytes, str]:
        """Return what the file holds, and its name.

        Raises
        ------
        DataError
            It cannot be read.
        """
        if self.file is None:
            raise typer.BadParameter("give a file; - for stdin")
        if str(self.file) == "-":
            return sys.stdin.buffer.read(), "stdin"
        try:
            return self.file.read_bytes(), str(self.file)
        except OSError as error:
            raise DataError(f"{self.file} cannot be read: {error}") from error
