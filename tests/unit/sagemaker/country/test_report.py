"""The report: complete, labelled, and opened without a network in a real browser where one is."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

import entry
import plots
from country import drawings
from plots import Scale

from ..conftest import make_job

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def report(features_run, trained) -> Path:
    """Assemble the trained models and return their report."""
    entry.run(make_job("assemble", features_run, trained / "assemble-report"))
    return trained / "assemble-report" / "output" / "report.html"


def test_nothing_is_fetched(report):
    text = report.read_text("utf-8")
    fetched = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?([^"')\s>]+)""", text)
    assert fetched == []
    assert "<script" not in text
    assert set(re.findall(r"https?://[^\s\"<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_synthetic_listeners_are_named_so(report):
    assert "SYNTHETIC listeners" in report.read_text("utf-8")


def test_every_drawing_is_well_formed_and_described(report):
    drawings = re.findall(r"<svg.*?</svg>", report.read_text("utf-8"), flags=re.DOTALL)
    assert len(drawings) > 10
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own output
        assert root.attrib["aria-label"]
        assert not re.search(r"nan|inf", " ".join(root.itertext()), flags=re.IGNORECASE)
        for element in root.iter():
            for name in ("x", "y", "cx", "cy", "x1", "x2", "width"):
                assert "nan" not in element.attrib.get(name, "")


@pytest.mark.process
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_shows_it(report, tmp_path):
    picture = tmp_path / "report.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    offline = ["--proxy-server=127.0.0.1:9", "--window-size=1200,4000"]
    subprocess.run(
        [CHROMIUM, *options, *offline, f"--screenshot={picture}", report.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 100_000  # a blank page is a tenth of that


def test_ticks_are_round_and_inside():
    assert Scale(0, 1).ticks() == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Scale(40, 5000, log=True).ticks() == [50, 100, 200, 500, 1000, 2000, 5000]
    assert Scale(3, 3).ticks() == [3]
    for tick in Scale(-0.013, 0.21).ticks():
        assert -0.013 <= tick <= 0.21


def test_names_are_escaped():
    drawing = plots.bars({"<b>": 0.5}, 'a "title"')
    assert "<b>" not in drawing
    assert 'a "title"' not in drawing


def test_the_world_has_every_country_of_the_region_table():
    from listening.regions import default_regions  # noqa: PLC0415

    drawn = drawings.world_map(
        dict.fromkeys(default_regions().region_of, 0.5),
        {code: f"name of {code}" for code in default_regions().region_of},
        "world",
    )
    missing = [c for c in default_regions().region_of if f"name of {c}<" not in drawn]
    assert missing == []
