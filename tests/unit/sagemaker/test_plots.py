"""What drawings of a report say."""

from __future__ import annotations

import re

from plots import LEGEND_HEIGHT, Frame, Scale


def test_ticks_are_labelled_with_their_values() -> None:
    drawing = Frame("", Scale(0, 1), Scale(0.889, 1.006)).axes("", "").svg()
    labels = re.findall(r'text-anchor="end"[^>]*>([^<]+)<', drawing)
    assert labels == ["0.9", "0.925", "0.95", "0.975", "1"]


def test_a_legend_lies_above_what_is_drawn() -> None:
    frame = Frame("", Scale(0, 1), Scale(0, 1), width=520, height=320).axes("", "")
    assert 'viewBox="0 0 520 320"' in frame.svg()
    frame.legend({"train & more": "#111", "validation": "#222"})
    drawing = frame.svg()
    assert f'viewBox="0 {-LEGEND_HEIGHT} 520 {320 + LEGEND_HEIGHT}"' in drawing
    (at, entries) = re.findall(r'<text x="[\d.]+" y="(-?\d+)"[^>]*>(.*?)</text>', drawing)[-1]
    assert -LEGEND_HEIGHT < int(at) < 0
    assert re.findall(r'fill="(#\d+)">●</tspan> ([^&]+(?:&amp;[^&]+)?)&#160;', entries) == [
        ("#111", "train &amp; more"),
        ("#222", "validation"),
    ]
