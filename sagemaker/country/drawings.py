"""What the report of the country system draws, on the canvas of `plots`."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from plots import GRID, INK, SOFT, Frame, Scale, percent, shade, svg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLOURS = {
    "chain": "#1d5fbf",
    "flat": "#d9772b",
    "logistic_regression": "#6b7280",
    "prior": "#b4bac4",
    "champion": "#8a4bb8",
    "train": "#b4bac4",
    "validation": "#1d5fbf",
}

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
    cell, left, top = 34, 220, 150
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
    text = resources.files("listening.country").joinpath("world.json").read_text("utf-8")
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
    frame.axes("round", "log loss")
    for split in ("train", "validation"):
        frame.curve(list(rounds), curve[split], COLOURS[split])
    x = frame.px(max(kept, 1))
    frame.line((x, frame.top), (x, frame.height - frame.bottom), dash="3 3")
    return frame.svg()
