"""What the report of the sessions system draws, on the canvas of `plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listening.sessions.forecast import LEVELS
from plots import ACCENT, SOFT, Frame, Scale, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from sessions.evaluation import Remaining

OTHER = "#d9772b"
CLUSTER_COLOURS = (ACCENT, OTHER, "#2f9e6e", "#8a4bb8", "#c2395b", "#6b7280", "#b08900", "#0c7c8a")


def coverage_chart(shares: Sequence[float]) -> Markup:
    """Draw the share of sessions below each quantile."""
    frame = Frame("Reliability of the quantiles", Scale(0, 1), Scale(0, 1), height=380).axes(
        "quantile", "share of sessions below it", x_format=percent, y_format=percent
    )
    frame.line((frame.px(0), frame.py(0)), (frame.px(1), frame.py(1)), dash="4 4")
    frame.curve(LEVELS, shares, ACCENT)
    for level, share in zip(LEVELS, shares, strict=True):
        words = f"{share:.1%} of sessions are below the {level:.0%} quantile"
        frame.dot(level, share, colour=ACCENT, words=words)
    return frame.svg()


def ratio_chart(rows: Sequence[Mapping[str, Any]], title: str, label: str) -> Markup:
    """Draw the error of the bundle over that of the listener's own median, by group."""
    ratios = [row["bundle"] / row["own_median"] for row in rows if row["own_median"]]
    frame = Frame(title, Scale(-0.5, max(len(rows) - 0.5, 0.5)), Scale.around([*ratios, 1.0]))
    kept = [row for row in rows if row["own_median"]]
    names = [str(row["name"]) for row in kept]

    def name_of(place: float) -> str:
        at = round(place)
        return names[at] if abs(place - at) < 1e-6 and 0 <= at < len(names) else ""

    frame.axes(label, "error / own median's", x_format=name_of)
    frame.line((frame.left, frame.py(1)), (frame.width - frame.right, frame.py(1)), dash="4 4")
    for place, (row, ratio) in enumerate(zip(kept, ratios, strict=True)):
        words = f"{row['name']}: {ratio:.3f} on {row['sessions']:,} sessions"
        frame.dot(place, ratio, colour=ACCENT, words=words)
    return frame.svg()


def remaining_chart(rows: Sequence[Remaining]) -> Markup:
    """Draw the error of what remains after some plays, beside two simple answers."""
    lines = {
        "bundle": (ACCENT, [row.bundle / 60 for row in rows]),
        "own median after as many plays": (OTHER, [row.own_median / 60 for row in rows]),
        "forecast at the start, less elapsed": (SOFT, [r.start_less_elapsed / 60 for r in rows]),
    }
    plays = [float(row.play) for row in rows]
    every = [value for _, values in lines.values() for value in values]
    frame = Frame(
        "Error by elapsed plays", Scale(plays[0], plays[-1], log=True), Scale(0, max(every) * 1.05)
    )
    frame.axes("plays so far", "mean absolute error, minutes")
    for name, (colour, values) in lines.items():
        frame.curve(plays, values, colour)
        for play, value in zip(plays, values, strict=True):
            words = f"{name}: {value:.1f} minutes after {play:.0f} plays"
            frame.dot(play, value, colour=colour, words=words)
    frame.legend({name: colour for name, (colour, _) in lines.items()})
    return frame.svg()


def by_number_chart(values: Mapping[str, Mapping[str, float]], title: str, label: str) -> Markup:
    """Draw a figure by number of clusters, for some methods."""
    points = {m: {int(k): v for k, v in by_k.items()} for m, by_k in values.items()}
    every = [v for by_k in points.values() for v in by_k.values()]
    ks = sorted({k for by_k in points.values() for k in by_k})
    frame = Frame(title, Scale(min(ks) - 0.2, max(ks) + 0.2), Scale.around(every))
    frame.axes("clusters", label)
    colours = dict(zip(points, CLUSTER_COLOURS, strict=False))
    for method, by_k in points.items():
        frame.curve(list(by_k), list(by_k.values()), colours[method])
        for k, value in by_k.items():
            frame.dot(k, value, colour=colours[method], words=f"{method}, {k}: {value:.3g}")
    if len(colours) > 1:
        frame.legend(colours)
    return frame.svg()


def cluster_chart(places: Sequence[Sequence[float]]) -> Markup:
    """Draw listeners in two principal components, coloured by cluster."""
    frame = Frame(
        "Clusters of listeners",
        Scale.around(place[0] for place in places),
        Scale.around(place[1] for place in places),
        height=380,
    )
    frame.axes("first principal component", "second")
    for x, y, cluster in places:
        colour = CLUSTER_COLOURS[int(cluster) % len(CLUSTER_COLOURS)]
        frame.dot(x, y, colour=colour, words=f"cluster {cluster:.0f}", radius=3)
    return frame.svg()


def learning_curve(name: str, curve: Mapping[str, Sequence[float]], rounds: int) -> Markup:
    """Draw the median's loss by boosting round."""
    every = [value for values in curve.values() for value in values]
    longest = max(len(values) for values in curve.values())
    frame = Frame(f"Learning of {name}", Scale(1, max(longest, 2)), Scale.around(every))
    frame.axes("boosting round", "pinball loss of the median")
    colours = {"train": SOFT, "validation": ACCENT}
    for split, values in curve.items():
        frame.curve(range(1, len(values) + 1), values, colours[split])
    place = frame.px(rounds)
    frame.line((place, frame.top), (place, frame.height - frame.bottom), dash="3 4")
    frame.legend(colours)
    return frame.svg()
