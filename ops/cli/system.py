"""The option that says which system a command is about."""

from __future__ import annotations

from typing import Annotated

import typer

from listening.systems import SYSTEMS

DEFAULT = next(iter(SYSTEMS))


def _known(system: str | None) -> str | None:
    if system is not None and system not in SYSTEMS:
        raise typer.BadParameter(f"'{system}' is none of {', '.join(SYSTEMS)}")
    return system


_METAVAR = "|".join(SYSTEMS)
SystemName = Annotated[
    str, typer.Option("--system", callback=_known, metavar=_METAVAR, help="Which system.")
]
AnySystem = Annotated[
    str | None,
    typer.Option("--system", callback=_known, metavar=_METAVAR, help="One system; else any."),
]
