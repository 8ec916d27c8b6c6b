"""What the command line prints: answers to stdout, progress and errors to stderr."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PLAIN_WIDTH = 120


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, emoji=False)


def out() -> Console:
    """Return the console for answers."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console for progress and errors."""
    return _console(stderr=True)


def say(text: str) -> None:
    """Print a line of an answer as it is, without wrapping."""
    out().print(text, soft_wrap=True, markup=False)


def say_json(value: Any) -> None:
    """Print a value for machines."""
    print(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def say_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; cells wrap between words where the terminal is narrow.

    Parameters
    ----------
    title
        Stands above it.
    columns
        One whose name ends in a blank stands to the right.
    rows
        A cell for each column.
    """
    cells = [list(row) for row in rows]
    table = Table(header_style="bold")
    for number, column in enumerate(columns):
        words = " ".join([column, *(row[number] for row in cells)]).split()
        table.add_column(
            column.strip(),
            justify="right" if column.endswith(" ") else "left",
            min_width=max(map(len, words), default=0),
        )
    for row in cells:
        table.add_row(*map(Text, row))
    out().print(f"\n{title}", style="bold", markup=False, soft_wrap=True)
    out().print(table)


def say_metrics(version: str, metrics: Mapping[str, Any], *, synthetic: bool) -> None:
    """Print a bundle's metrics on its test split; labelled where the listeners are invented."""
    say_table(
        f"Bundle {version} on its test split" + (" (SYNTHETIC listeners)" if synthetic else ""),
        ["Metric", "Value "],
        [
            (name.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else f"{value:,}")
            for name, value in metrics.items()
            if isinstance(value, int | float)
        ],
    )


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
