"""The option that says which system a command is about."""

from __future__ import annotations

from typing import Annotated

import typer

from listening.systems import SYSTEMS

DEFAULT = next(iter(SYSTEMS))


def _known(system: str) -> str:
    if system not in SYSTEMS:
        raise typer.BadParameter(f"'{system}' is none of {', '.join(SYSTEMS)}")
    return system


SystemName = Annotated[
    str,
    typer.Option("--system", callback=_known, metavar="|".join(SYSTEMS), help="Which system."),
]
