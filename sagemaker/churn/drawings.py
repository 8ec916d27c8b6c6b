"""What the report of the churn system draws, on the canvas of `plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plots import ACCENT, SOFT, Frame, Scale, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

OTHER = "#d9772b"
COLOURS = (ACCENT, OTHER, "#2f9e6e", "#8a4bb8", "#c2395b", "#6b7280", "#b08900", "#0c7c8a")


def roc_chart(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Markup:
    """Draw ROC curves by who said it."""
    frame = _shares("ROC curves", "share of those who stay", "share of those who are gone")
    colours = dict(zip(curves, COLOURS, strict=False))
    for name, (across, up) in curves.items():
        if name in colours:
            frame.curve(across, up, colours[name])
    frame.legend({name.replace("_", " "): colour for name, colour in colours.items()})
    return frame.svg()


def gain_chart(tenths: Sequence[Mapping[str, float]]) -> Markup:
    """Draw the share of all who are gone among so large a share of the riskiest."""
    frame = _shares("Gain", "share of listeners, riskiest first", "share of those who are gone")
    steps = [i / len(tenths) for i in range(len(tenths) + 1)]
    gains = [0.0, *(row["gain"] for row in tenths)]
    frame.curve(steps, gains, ACCENT)
    for step, gain, row in zip(steps[1:], gains[1:], tenths, strict=True):
        words = f"the riskiest {step:.0%} hold {gain:.1%} of those gone; here {row['gone']:.1%} are"
        frame.dot(step, gain, colour=ACCENT, words=words)
    return frame.svg()


def calibration_chart(tenths: Sequence[Mapping[str, float]]) -> Markup:
    """Draw the share that was gone by mean risk, a dot a tenth."""
    frame = _shares("Calibration", "mean risk", "share that was gone")
    frame.curve([row["risk"] for row in tenths], [row["gone"] for row in tenths], ACCENT)
    for row in tenths:
        words = f"risk {row['risk']:.1%}, gone {row['gone']:.1%} of {row['rows']:,.0f}"
        frame.dot(row["risk"], row["gone"], colour=ACCENT, words=words)
    return frame.svg()


def _shares(title: str, x: str, y: str) -> Frame:
    frame = Frame(title, Scale(0, 1), Scale(0, 1), height=380)
    frame.axes(x, y, x_format=percent, y_format=percent)
    frame.line((frame.px(0), frame.py(0)), (frame.px(1), frame.py(1)), dash="4 4")
    return frame


def date_chart(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the share that was gone, and the mean risk, at each date."""
    lines = {
        "gone": (OTHER, [row["gone"] for row in rows]),
        "mean risk": (ACCENT, [row["risk"] for row in rows]),
    }
    every = [value for _, values in lines.values() for value in values]
    frame = Frame("Churn by date", Scale(-0.5, max(len(rows) - 0.5, 0.5)), Scale.around(every))
    names = [str(row["name"])[5:] for row in rows]

    def name_of(place: float) -> str:
        at = round(place)
        return names[at] if abs(place - at) < 1e-6 and 0 <= at < len(names) else ""

    frame.axes("date", "share", x_format=name_of, y_format="{:.0%}".format)
    for name, (colour, values) in lines.items():
        frame.curve(range(len(values)), values, colour)
        for place, (row, value) in enumerate(zip(rows, values, strict=True)):
            words = f"{row['name']}: {name} {value:.1%} of {row['rows']:,}"
            frame.dot(place, value, colour=colour, words=words)
    frame.legend({name: colour for name, (colour, _) in lines.items()})
    return frame.svg()


def learning_curve(curve: Mapping[str, Sequence[float]], rounds: int) -> Markup:
    """Draw the trees' log loss by boosting round."""
    every = [value for values in curve.values() for value in values]
    longest = max(len(values) for values in curve.values())
    frame = Frame("Learning of trees", Scale(1, max(longest, 2)), Scale.around(every))
    frame.axes("boosting round", "log loss")
    colours = dict(zip(curve, (SOFT, ACCENT), strict=False))
    for name, colour in colours.items():
        frame.curve(range(1, len(curve[name]) + 1), curve[name], colour)
    place = frame.px(rounds)
    frame.line((place, frame.top), (place, frame.height - frame.bottom), dash="3 4")
    frame.legend(colours)
    return frame.svg()
