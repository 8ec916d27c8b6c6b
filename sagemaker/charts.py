"""Charts as inline SVG: nothing to fetch, sharp at any size, readable by a screen reader."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

COLOURS = {
    "chain": "#1d5fbf",
    "flat": "#d9772b",
    "logistic_regression": "#6b7280",
    "prior": "#b4bac4",
    "champion": "#8a4bb8",
    "train": "#b4bac4",
    "validation": "#1d5fbf",
}
INK, GRID, SOFT = "#1f2933", "#e5e8ec", "#6b7280"
LOW, HIGH = (238, 243, 250), (12, 60, 130)


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
    """

    title: str
    x: Scale
    y: Scale
    width: int = 520
    height: int = 320
    left: int = 52
    bottom: int = 44
    top: int = 14
    right: int = 16
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
        """Name colours in the lower right corner, ``label`` to ``colour``."""
        for row, (label, colour) in enumerate(reversed(list(names.items()))):
            y = self.height - self.bottom - 10 - 16 * row
            x = self.width - self.right - 8
            self.parts.append(f'<circle cx="{x - 2:.1f}" cy="{y - 4:.1f}" r="4" fill="{colour}"/>')
            self.text(x - 10, y, label, anchor="end", colour=INK)

    def svg(self) -> Markup:
        """Return the drawing."""
        return svg(self.title, self.width, self.height, self.parts)


def svg(title: str, width: float, height: float, parts: Iterable[str]) -> Markup:
    """Wrap parts of a drawing."""
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def shade(value: float) -> str:
    """Return the colour of a share, 0 (pale) to 1 (deep)."""
    mix = [round(a + (b - a) * min(max(value, 0), 1)) for a, b in zip(LOW, HIGH, strict=True)]
    return f"rgb({mix[0]},{mix[1]},{mix[2]})"


def percent(value: float) -> str:
    """Write a share."""
    return f"{100 * value:.0f}%"


NAMES = {
    "top3": "top-3",
    "top5": "top-5",
    "macro_f1": "macro F1",
    "macro_top5": "macro top-5 recall",
    "top10_accuracy": "accuracy, 10 largest",
    "tail10_accuracy": "accuracy, 10 rarest",
    "tail10_top5": "top-5, 10 rarest",
}


def pretty(name: str) -> str:
    """Write a model's or metric's name for a reader."""
    return NAMES.get(name, name.replace("_", " "))


def reliability_chart(curves: Mapping[str, Any]) -> Markup:
    """Draw how often answers of a confidence were right, for some models."""
    frame = Frame("Reliability", Scale(0, 1), Scale(0, 1), height=380).axes(
        "confidence of the likeliest country",
        "share that was right",
        x_format=percent,
        y_format=percent,
    )
    frame.line((frame.px(0), frame.py(0)), (frame.px(1), frame.py(1)), dash="4 4")
    for name, curve in reversed(list(curves.items())):
        frame.curve(curve.confidence.tolist(), curve.accuracy.tolist(), COLOURS[name])
        for x, y, n in zip(curve.confidence, curve.accuracy, curve.listeners, strict=True):
            words = f"{pretty(name)}: {y:.1%} right at {x:.1%} ({n} listeners)"
            frame.dot(float(x), float(y), colour=COLOURS[name], words=words, radius=3)
    frame.legend({f"{pretty(n)}, ECE {c.ece:.3f}": COLOURS[n] for n, c in curves.items()})
    return frame.svg()


def confusion_chart(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Draw where each region's listeners were put, as shares of the row."""
    cell, left, top = 34, 190, 150
    size = cell * len(names)
    parts = []
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        total, y = sum(row), top + cell * i
        parts.append(
            f'<text x="{left - 8}" y="{y + cell / 2 + 4}" text-anchor="end" fill="{INK}">'
            f"{escape(name)} <tspan fill='{SOFT}'>({total})</tspan></text>"
            f'<text transform="translate({left + cell * i + cell / 2 + 4} {top - 8}) rotate(-50)" '
            f'fill="{INK}">{escape(name)}</text>'
        )
        for j, count in enumerate(row):
            share = count / total if total else 0.0
            ink = "#fff" if share > 0.45 else INK
            parts.append(
                f'<rect x="{left + cell * j}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
                f'rx="3" fill="{shade(share)}"><title>{escape(name)} as {escape(names[j])}: '
                f"{count} of {total}</title></rect>"
            )
            if share >= 0.01:
                parts.append(
                    f'<text x="{left + cell * j + cell / 2 - 0.5}" y="{y + cell / 2 + 4}" '
                    f'text-anchor="middle" fill="{ink}">{100 * share:.0f}</text>'
                )
    return svg("Confusion between regions", left + size + 110, top + size + 6, parts)


@cache
def _world() -> dict[str, Any]:
    text = resources.files("music_country").joinpath("world.json").read_text("utf-8")
    world: dict[str, Any] = json.loads(text)
    return world


def world_map(values: Mapping[str, float], words: Mapping[str, str], title: str) -> Markup:
    """Colour the world's countries by a share; those without one stay grey.

    Parameters
    ----------
    values
        Country code to share, 0 to 1.
    words
        Country code to what is shown on hover.
    title
        What the map shows.
    """
    world = _world()
    parts = [f'<path d="{world["other"]}" fill="#eceef1"/>']
    for code, path in world["shapes"].items():
        fill = shade(values[code]) if code in values else "#eceef1"
        hover = f"<title>{escape(words[code])}</title>" if code in words else ""
        parts.append(
            f'<path d="{path}" fill="{fill}" stroke="#fff" stroke-width=".5">{hover}</path>'
        )
    for code, (x, y) in world["points"].items():
        if code in values:
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="4" fill="{shade(values[code])}" stroke="{SOFT}" '
                f'stroke-width=".7"><title>{escape(words[code])}</title></circle>'
            )
    height = world["height"]
    for step in range(6):
        x = 20 + 34 * step
        parts.append(
            f'<rect x="{x}" y="{height - 46}" width="34" height="10" fill="{shade(step / 5)}"/>'
            f'<text x="{x + 17}" y="{height - 22}" text-anchor="middle" fill="{SOFT}">'
            f"{20 * step}%</text>"
        )
    return svg(title, world["width"], height, parts)


def tail_chart(rows: Sequence[Mapping[str, Any]], flat_top5: Sequence[float]) -> Markup:
    """Draw top-5 recall by a country's number of training listeners, chain beside flat."""
    counts = [max(row["train"], 1) for row in rows]
    scale = Scale(min(counts) / 1.2, max(counts) * 1.2, log=True)
    frame = Frame("Recall by training listeners", scale, Scale(0, 1), height=360).axes(
        "training listeners of the country (logarithmic)",
        "top-5 recall",
        x_format=lambda v: f"{v:,.0f}",
        y_format=percent,
    )
    for row, other in zip(rows, flat_top5, strict=True):
        x = frame.px(max(row["train"], 1))
        frame.line((x, frame.py(row["top5"])), (x, frame.py(other)), colour=GRID, width=2)
    for name, shares in (("flat", flat_top5), ("chain", [row["top5"] for row in rows])):
        for row, share in zip(rows, shares, strict=True):
            words = f"{row['name']}, {name}: {share:.0%} of {row['listeners']} test listeners"
            frame.dot(max(row["train"], 1), share, colour=COLOURS[name], words=words)
    frame.legend({name: COLOURS[name] for name in ("chain", "flat")})
    return frame.svg()


def prior_power_chart(points: Sequence[Mapping[str, float]], chosen: float) -> Markup:
    """Draw what the prior power trades, on validation."""
    metrics = {
        "accuracy": "#1d5fbf",
        "top5": "#0f9d7a",
        "macro_top5": "#d9772b",
        "macro_f1": "#8a4bb8",
        "tail10_top5": "#c2344d",
    }
    powers = [point["power"] for point in points]
    frame = Frame("Prior power", Scale(0, max(powers)), Scale(0, 1), height=380, right=150)
    frame.axes("prior power", "on validation", y_format=percent)
    frame.line((frame.px(chosen), frame.py(0)), (frame.px(chosen), frame.py(1)), dash="4 4")
    frame.text(frame.px(chosen) + 4, frame.py(0) - 6, f"in use: {chosen:g}")
    ends = sorted(((points[-1][metric], metric) for metric in metrics), reverse=True)
    y_before = -math.inf
    for end, metric in ends:
        frame.curve(powers, [point[metric] for point in points], metrics[metric])
        y = max(frame.py(end) + 4, y_before + 14)
        y_before = y
        frame.text(frame.width - frame.right + 6, y, pretty(metric), colour=metrics[metric])
    return frame.svg()


def difference_chart(
    differences: Mapping[str, Mapping[str, Any]], metrics: Sequence[str]
) -> Markup:
    """Draw the chain's advantage over each other model with its 95% interval.

    Log loss is turned around, so that to the right is always better.
    """
    row, left = 26, 320
    lines = [(metric, other) for metric in metrics for other in differences]
    height = row * len(lines) + 46
    found = [_advantage(metric, differences[other][metric]) for metric, other in lines]
    ends = [end for _, low, high in found for end in (low, high)]
    scale = Scale.around([*ends, 0.0])
    frame = Frame("Chain against others", scale, Scale(0, 1), width=760, height=height, left=left)
    for tick in scale.ticks(8):
        x = frame.px(tick)
        frame.line((x, 10), (x, height - 34), colour=GRID)
        frame.text(x, height - 18, f"{tick:+g}" if tick else "0", anchor="middle")
    frame.text(frame.px(0), height - 2, "← worse   ·   better →", anchor="middle", colour=INK)
    frame.line((frame.px(0), 8), (frame.px(0), height - 34), colour=SOFT, width=1.5)
    for i, ((metric, other), (value, low, high)) in enumerate(zip(lines, found, strict=True)):
        y = 10 + row * i + row / 2
        label = f"{pretty(metric)} against {pretty(other)}"
        frame.text(left - 12, y + 4, label, anchor="end", colour=INK)
        frame.line((frame.px(low), y), (frame.px(high), y), colour=COLOURS[other], width=3)
        frame.parts.append(
            f'<circle cx="{frame.px(value):.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[other]}">'
            f"<title>{escape(label)}: {value:+.4f} ({low:+.4f} to {high:+.4f})</title></circle>"
        )
    return frame.svg()


def _advantage(metric: str, interval: Any) -> tuple[float, float, float]:
    if metric == "log_loss":
        return -interval.value, -interval.high, -interval.low
    return interval.value, interval.low, interval.high


def learning_curve(name: str, curve: Mapping[str, Sequence[float]], kept: int) -> Markup:
    """Draw a model's log loss by round."""
    rounds = range(1, len(curve["validation"]) + 1)
    scale = Scale.around([v for values in curve.values() for v in values])
    frame = Frame(
        f"Learning curve of {name}", Scale(1, max(len(rounds), 2)), scale, width=300, height=190
    )
    frame.axes("round", "log loss", y_format="{:.2f}".format)
    for split in ("train", "validation"):
        frame.curve(list(rounds), curve[split], COLOURS[split])
    x = frame.px(max(kept, 1))
    frame.line((x, frame.top), (x, frame.height - frame.bottom), dash="3 3")
    return frame.svg()


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
            f'fill="{COLOURS["chain"]}"/><text x="{left + length + 6:.1f}" y="{y + 14}" '
            f'fill="{SOFT}">{value:.1%}</text>'
        )
    return svg(title, width, row * len(values) + 4, parts)
