"""Counts: the task that fits, and the judge of what it fitted."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.dataset as ds
from listening.counts import BUNDLE, MODEL, expected_plays

from judgement import Judgement
from listening.archive import ArchiveWriter
from listening.intervals import bootstrap
from report_frame import render

if TYPE_CHECKING:
    from gate import Decision
    from job import Job
    from judgement import Case

REPORT = Path(__file__).with_name("report.html.j2")


def fit(job: Job) -> None:
    """Learn the mean of log plays."""
    manifest = json.loads((job.channel("features") / "manifest.json").read_bytes())
    content = {"mean_log": float(np.log(plays(job, "train")).mean())}
    version = ArchiveWriter(job.model_folder).finish(
        MODEL, content, synthetic=manifest["synthetic"]
    )
    print(f"model mean {version}; validation:loss={content['mean_log']:.5f};")


TASKS = {"counts.mean": fit}


def plays(job: Job, channel: str) -> np.ndarray:
    """Return the plays of a channel's listeners, ``(n_listeners,)``."""
    return ds.dataset(job.channel(channel)).to_table()["plays"].to_numpy()


def judge(case: Case) -> Judgement:
    """Write the bundle, and judge it on the test listeners."""
    (model,) = case.models
    version = ArchiveWriter(case.job.model_folder).finish(
        BUNDLE, model.content, synthetic=model.synthetic
    )
    true = plays(case.job, "test")
    guesses = {"counts": model.content["mean_log"], "prior": None}
    if case.champion:
        guesses["champion"] = case.champion.content["mean_log"]
    errors = {name: abs(true - expected_plays(mean)) for name, mean in guesses.items()}
    alone, differences = bootstrap(
        errors,
        lambda error, weights: {"mae": float(np.average(error, weights=weights))},
        against=[("counts", name) for name in errors if name != "counts"],
    )
    metrics = {"mae": alone["counts"]["mae"].value}
    return Judgement(
        version=version,
        metrics=metrics,
        differences={"prior": differences["counts", "prior"]},
        against_champion=differences.get(("counts", "champion"), {}),
        document={
            "bundle_version": version,
            "synthetic": model.synthetic,
            "metrics": metrics,
            "listeners": len(true),
        },
        report=partial(report, version, model.synthetic, metrics),
        card=lambda decision: {"model_overview": {"model_description": decision.verdict}},
    )


def report(version: str, synthetic: bool, metrics: dict[str, float], decision: Decision) -> str:
    """Return the report's HTML."""
    return render(
        REPORT,
        decision,
        system="counts",
        version=version,
        synthetic=synthetic,
        pretty=str,
        metrics=metrics,
    )
