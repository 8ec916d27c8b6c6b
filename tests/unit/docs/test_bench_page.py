from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import report

if TYPE_CHECKING:
    from pathlib import Path

SIDE = {"cpu_seconds_a_round": 1.5, "cpu_seconds_extrapolated": 150.0, "peak_mb": 300.0}
DOCUMENTS: dict[str, Any] = {
    "features": {
        "ratios": {"embeddings_vs_original": 7.25},
        "growth_exponent": 1.31,
        "scale": [
            {"listeners": n, "job": job, "seconds": n / 999, "cpu_seconds": 20.0, "peak_gb": 2.5}
            for n in (20_000, 80_000)
            for job in ("embeddings", "features")
        ],
    },
    "training": {
        "ratios": {"chain_vs_flat_cpu": 3.25},
        "sizes": {"20000": {"chain": SIDE, "flat": SIDE, "ratio": 3.25}},
    },
    "quality": {"models": {"chain": dict.fromkeys(report.METRICS, 0.4321)}},
    "pipeline": {
        "ratios": {"pipeline_vs_original": 2.75},
        "listeners": 20_000,
        "cpu_seconds": {
            "ours": {"embeddings": 41.0, "training": 12.0},
            "original": {"features": 99.0},
            "flat judge": 23.0,
        },
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, document in DOCUMENTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


def test_the_page_has_each_figure_beside_its_aim(folder: Path) -> None:
    page = report.page(report.read(folder))
    for shown in ("7.25", "at least 3.5", "3.25", "1.31", "at most 1.1", "0.432", "99", "23 s"):
        assert shown in page
    assert "Not run: log, serving." in page
    assert "//" not in page.replace("http://www.w3.org/2000/svg", "")


def test_a_figure_is_reached_or_missed(folder: Path) -> None:
    reached = {row.name: row.reached for row in report.measured(report.read(folder))}
    assert reached == {
        "embeddings_vs_original": True,
        "growth_exponent": False,
        "chain_vs_flat_cpu": False,
        "pipeline_vs_original": False,
    }


def test_a_folder_without_figures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make bench"):
        report.read(tmp_path)
