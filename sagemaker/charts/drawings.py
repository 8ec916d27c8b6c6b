"""What the report of the charts system draws, on the canvas of `plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listening.charts.scores import METHODS
from plots import ACCENT, Frame, Scale, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

COLOURS = dict(
    zip(METHODS, (ACCENT, "#2f9e6e", "#8a4bb8", "#d9772b", "#c2395b", "#b08900"), strict=True)
)


def week_chart(weeks: Sequence[Mapping[str, Any]], window: str) -> Markup:
    """Draw the share of listeners with a hit among the first ten, by week and method."""
    some = [row for row in weeks if row["window"] == window]
    dates = sorted({row["date"] for row in some})
    top = max((row["hit10"] for row in some), default=1.0) or 1.0
    frame = Frame(
        f"Hits of the {window}'s lists",
        Scale(-0.5, max(len(dates) - 0.5, 0.5)),
        Scale(0, top * 1.05),
    )

    def name_of(place: float) -> str:
        at = round(place)
        return dates[at][5:] if abs(place - at) < 1e-6 and 0 <= at < len(dates) else ""

    frame.axes("list made before", "share with a hit", x_format=name_of, y_format=percent)
    for method, colour in COLOURS.items():
        rows = [row for row in some if row["method"] == method]
        places = [dates.index(row["date"]) for row in rows]
        frame.curve(places, [row["hit10"] for row in rows], colour)
        for place, row in zip(places, rows, strict=True):
            words = f"{row['date']}, {method}: {row['hit10']:.1%} of {row['listeners']:,}"
            frame.dot(place, row["hit10"], colour=colour, words=words, radius=3)
    frame.legend(COLOURS)
    return frame.svg()
