"""Plots as inline SVG: nothing to fetch, sharp at any size, readable by a screen reader."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ACCENT = "#1d5fbf"
INK, GRID, SOFT = "#1f2933", "#e5e8ec", "#6b7280"
LOW, HIGH = (238, 243, 250), (12, 60, 130)
LEGEND_LINE = 16


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis.

    Parameters
    ----------
    low, high
        Its ends.
    log
        Whether it is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value, 0 to 1."""
        if self.log:
            span = math.log(self.high / self.low)
            return math.log(max(value, self.low) / self.low) / span if span else 0.5
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values along the axis."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 1000 else (1,)
            return [
                s * 10.0**p for p in powers for s in steps if self.low <= s * 10.0**p <= self.high
            ]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        raw = span / about
        unit = 10 ** math.floor(math.log10(raw))
        step = next(unit * s for s in (1, 2, 2.5, 5, 10) if unit * s >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]

    @classmethod
    def around(cls, values: Iterable[float], *, pad: float = 0.06) -> Scale:
        """Return a linear axis on which all values have room."""
        found = list(values)
        low, high = min(found), max(found)
        margin = (high - low) * pad or abs(high) * pad or 1
        return cls(low - margin, high + margin)


@dataclass
class Frame:
    """A drawing with two axes; its parts are added in drawing order.

    Parameters
    ----------
    title
        What a screen reader says.
    x, y
        The axes.
    width, height
        Size in user units; the drawing scales to its column.
    left, bottom
        Room for labels.
    head
        Room above for a legend.
    """

    title: str
    x: Scale
    y: Scale
    width: int = 520
    height: int = 320
    left: int = 60
    bottom: int = 44
    top: int = 14
    right: int = 16
    head: int = 0
    parts: list[str] = field(default_factory=list)

    def px(self, value: float) -> float:
        """Return where a value lies from the left."""
        return self.left + self.x.place(value) * (self.width - self.left - self.right)

    def py(self, value: float) -> float:
        """Return where a value lies from above."""
        return self.top + (1 - self.y.place(value)) * (self.height - self.top - self.bottom)

    def axes(
        self,
        x_label: str,
        y_label: str,
        *,
        x_format: Callable[[float], str] = "{:g}".format,
        y_format: Callable[[float], str] = "{:g}".format,
    ) -> Frame:
        """Draw grid, ticks and labels."""
        floor, ceiling = self.height - self.bottom, self.top
        for tick in self.y.ticks():
            y = self.py(tick)
            self.line((self.left, y), (self.width - self.right, y), colour=GRID)
            self.text(self.left - 8, y + 4, y_format(tick), anchor="end")
        for tick in self.x.ticks():
            x = self.px(tick)
            self.line((x, ceiling), (x, floor), colour=GRID)
            self.text(x, floor + 16, x_format(tick), anchor="middle")
        middle = (self.left + self.width - self.right) / 2
        self.text(middle, self.height - 6, x_label, anchor="middle", colour=INK)
        self.parts.append(
            f'<text transform="translate(12 {(floor + ceiling) / 2:.1f}) rotate(-90)" '
            f'text-anchor="middle" fill="{INK}">{escape(y_label)}</text>'
        )
        return self

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        colour: str = SOFT,
        width: float = 1,
        dash: str = "",
    ) -> None:
        """Draw a line between two places of the drawing."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
            f'stroke="{colour}" stroke-width="{width}"{dashed}/>'
        )

    def text(
        self, x: float, y: float, words: str, *, anchor: str = "start", colour: str = SOFT
    ) -> None:
        """Write words at a place of the drawing."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(words)}</text>"
        )

    def curve(self, xs: Sequence[float], ys: Sequence[float], colour: str) -> None:
        """Draw a curve through values."""
        points = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )

    def dot(self, x: float, y: float, *, colour: str, words: str, radius: float = 4) -> None:
        """Draw a dot at values, with words on hover."""
        self.parts.append(
            f'<circle cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{radius:.1f}" '
            f'fill="{colour}" fill-opacity=".8" stroke="#fff"><title>{escape(words)}</title>'
            "</circle>"
        )

    def legend(self, names: Mapping[str, str]) -> None:
        """Name colours above the drawing, a line each, ``label`` to ``colour``."""
        self.head = LEGEND_LINE * len(names)
        for row, (label, colour) in enumerate(names.items()):
            y = LEGEND_LINE * row - self.head + 12
            self.parts.append(f'<circle cx="{self.left + 4}" cy="{y - 4}" r="4" fill="{colour}"/>')
            self.text(self.left + 14, y, label, colour=INK)

    def svg(self) -> Markup:
        """Return the drawing."""
        return svg(self.title, self.width, self.height, self.parts, head=self.head)


def svg(
    title: str, width: float, height: float, parts: Iterable[str], *, head: float = 0
) -> Markup:
    """Wrap parts of a drawing, with so much room above them."""
    return Markup(
        f'<svg viewBox="0 {-head:g} {width:g} {height + head:g}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def shade(value: float) -> str:
    """Return the colour of a share, 0 (pale) to 1 (deep)."""
    mix = [round(a + (b - a) * min(max(value, 0), 1)) for a, b in zip(LOW, HIGH, strict=True)]
    return f"rgb({mix[0]},{mix[1]},{mix[2]})"


def percent(value: float) -> str:
    """Write a share."""
    return f"{100 * value:.0f}%"


def bars(values: Mapping[str, float], title: str) -> Markup:
    """Draw shares as horizontal bars."""
    row, left, width = 20, 190, 440
    longest = max(values.values(), default=1.0) or 1.0
    parts = []
    for i, (name, value) in enumerate(values.items()):
        y, length = row * i, (width - left - 44) * value / longest
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end" fill="{INK}">{escape(name)}'
            f'</text><rect x="{left}" y="{y + 3}" width="{length:.1f}" height="13" rx="2" '
            f'fill="{ACCENT}"/><text x="{left + length + 6:.1f}" y="{y + 14}" '
            f'fill="{SOFT}">{value:.1%}</text>'
        )
    return svg(title, width, row * len(values) + 4, parts)
