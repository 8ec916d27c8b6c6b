"""From a run of charts to a judged bundle: the served method beside the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import entry
from charts.data import read_judged, summary
from job import Job
from listening.archive import load, pack, write_prior
from listening.charts.bundle import ChartsBundle
from listening.charts.judging import MEASURES
from listening.charts.parts import HALF_LIVES, PARTS, WINDOWS
from listening.charts.scores import METHODS
from listening.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

LISTENERS, WEEKS = 80, 4
GOOD = {"decayed": 0.5, "listeners": 0.48, "plays": 0.2}
"""Chance of a hit by method; of others .1."""


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path / "part-0.parquet")


def charts_run(folder: Path, *, method: str = "decayed", half_life: float = 14.0) -> Path:
    """Write a run of the charts job."""
    rng = np.random.default_rng(1)
    judged = []
    for name in METHODS:
        for window in WINDOWS:
            for listener in range(LISTENERS):
                hits = float(rng.binomial(WEEKS, GOOD.get(name, 0.1)))
                row = {"window": window, "method": name, "listener": listener * 7}
                row |= {m: hits * (0.2 if "ndcg" in m else 1.0) for m in MEASURES}
                judged.append(row | {f"n_{m}": float(WEEKS) for m in MEASURES})
    write(folder / "judged", judged)
    weeks = [
        {"date": 19_800 + 7 * week, "window": window, "method": name}
        | dict.fromkeys(MEASURES, 3.0) | {f"n_{m}": 9.0 for m in MEASURES}
        for week in range(WEEKS) for window in WINDOWS for name in METHODS
    ]  # fmt: skip
    write(folder / "weeks", weeks)
    lists = [
        {
            "window": window, "place": place, "rank": rank, "track_id": f"t{rank}",
            "artist_name": "Air", "track_name": None, "score": 9.0 - rank,
            "previous_rank": rank if rank > 1 else None, "is_new": rank == 1, "is_rising": False,
            **dict.fromkeys(PARTS, 2.0),
        }
        for window in WINDOWS for place in ("world", "BR") for rank in (2, 1, 3)
    ]  # fmt: skip
    write(folder / "lists", lists)
    (folder / "manifest").mkdir()
    manifest = {
        "format_version": 1, "run": "c1", "batch": "b", "synthetic": True, "end": 19_828,
        "weeks": [19_800 + 7 * week for week in range(WEEKS)],
        "turnover": {window: dict.fromkeys(METHODS, 0.3) for window in WINDOWS},
        "parameters": {
            "method": method, "least_listeners": 3, "windows": dict(WINDOWS),
            "half_lives": {w: half_life * d / 14 for w, d in HALF_LIVES.items()},
        },
    }  # fmt: skip
    (folder / "manifest" / "manifest.json").write_text(json.dumps(manifest))
    return folder


def assemble(run: Path, folder: Path, champion: Path) -> dict[str, Any]:
    """Assemble a bundle, and return its evaluation."""
    channels = {name: run / name for name in ("lists", "judged", "weeks")}
    folder.mkdir(parents=True, exist_ok=True)
    entry.run(
        Job(
            hyperparameters={"task": "charts.assemble"},
            channels=channels | {"features": run / "manifest", "champion": champion},
            model_folder=folder,
            output_folder=folder.with_name(folder.name + "-out"),
        )
    )
    path = folder.with_name(folder.name + "-out") / "evaluation.json"
    return dict(json.loads(path.read_text()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("charts")
    write_prior(root / "prior", system="charts")
    (root / "champion").mkdir()
    pack(root / "prior", root / "champion" / "bundle.tar.gz")
    assemble(charts_run(root / "run"), root / "bundle", root / "champion")
    (root / "next").mkdir()
    pack(root / "bundle", root / "next" / "bundle.tar.gz")
    return root


def test_the_first_lists_are_published(root: Path) -> None:
    found = json.loads((root / "bundle-out" / "evaluation.json").read_text())
    assert found["gate"]["decision"] == "Approved"
    assert "above the empty list's" in found["gate"]["reasons"][0]
    assert found["gate"]["warnings"] == []
    assert set(found["methods"]) == {*METHODS, "empty_list"}
    judged = read_judged(root / "run" / "judged")
    assert found["metrics"] == pytest.approx(summary(judged["decayed"], None))
    assert found["metrics"]["hit10"] == pytest.approx(0.5, abs=0.06)
    assert found["differences"]["plays"]["hit10"]["low"] > 0
    lists = ChartsBundle(load(root / "bundle")).lists
    assert [track.track_id for track in lists.tracks["week"]["BR"]] == ["t1", "t2", "t3"]
    assert lists.tracks["week"]["BR"][1].previous_rank == 2
    report = (root / "bundle-out" / "report.html").read_text()
    assert "SYNTHETIC" in report
    assert "Brazil" in report
    card = json.loads((root / "bundle-out" / "model_card.json").read_text())
    assert "nothing is trained" in card["model_overview"]["algorithm_type"]


def test_a_method_that_is_surely_worse_than_the_champions_is_refused(
    root: Path, tmp_path: Path
) -> None:
    worse = charts_run(tmp_path / "run", method="published")
    found = assemble(worse, tmp_path / "bundle", root / "next")
    assert found["gate"]["decision"] == "Rejected"
    assert "worse than champion" in found["gate"]["reasons"][0]
    assert found["gate"]["warnings"]  # plain plays are better too
    alike = charts_run(tmp_path / "alike", method="listeners")
    assert assemble(alike, tmp_path / "next", root / "next")["gate"]["decision"] == "Approved"


def test_a_champion_whose_plays_decay_otherwise_cannot_be_compared(
    root: Path, tmp_path: Path
) -> None:
    other = charts_run(tmp_path / "run", half_life=60.0)
    found = assemble(other, tmp_path / "bundle", root / "next")
    assert found["champion"] == {"version": None, "method": None, "differences": {}}
    assert "nothing in common" in " ".join(found["gate"]["reasons"])


def test_what_is_no_run_of_charts_is_refused(root: Path, tmp_path: Path) -> None:
    run = charts_run(tmp_path / "run")
    write(run / "none", [{"method": "decayed"}])
    (run / "judged").rename(run / "away")
    (run / "none").rename(run / "judged")
    with pytest.raises(DataError, match="not judged lists of the job charts"):
        assemble(run, tmp_path / "bundle", root / "champion")
