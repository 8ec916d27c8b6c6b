"""What drawings of a report say."""

from __future__ import annotations

import re

from plots import LEGEND_LINE, Frame, Scale


def test_ticks_are_labelled_with_their_values() -> None:
    drawing = Frame("", Scale(0, 1), Scale(0.889, 1.006)).axes("", "").svg()
    labels = re.findall(r'text-anchor="end"[^>]*>([^<]+)<', drawing)
    assert labels == ["0.9", "0.925", "0.95", "0.975", "1"]


def test_a_legend_lies_above_what_is_drawn() -> None:
    frame = Frame("", Scale(0, 1), Scale(0, 1), width=520, height=320).axes("", "")
    assert 'viewBox="0 0 520 320"' in frame.svg()
    frame.legend({"train & more": "#111", "validation": "#222"})
    drawing, head = frame.svg(), 2 * LEGEND_LINE
    assert f'viewBox="0 {-head} 520 {320 + head}"' in drawing
    written = re.findall(r'y="(-[\d.]+)" text-anchor="start"[^>]*>([^<]+)<', drawing)
    assert [label for _, label in written] == ["train &amp; more", "validation"]
    assert all(-head < float(y) < 0 for y, _ in written)
    dots = re.findall(r'cy="(-[\d.]+)" r="4" fill="(#\d+)"', drawing)
    assert [colour for _, colour in dots] == ["#111", "#222"]
    assert all(-head < float(y) < 0 for y, _ in dots)
