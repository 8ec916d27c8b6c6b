"""Raw plays to an evaluated bundle, beside the original's way: CPU time of all processes.

    python benchmarks/pipeline.py [--repeats 3] [--json FILE]

Ours are the two Glue jobs and the training job's tasks as the state machine starts them, except
that the tasks share one process, as the original's do. The original computes its features in one
Spark session, trains its chain and evaluates it. Java compiles as it costs each side least: ours as
on the emulator, the original by default (167 CPU seconds of features; as on the emulator, 180).
Both start from the same raw files, alternate, and are compared by medians. The flat model, which
our chain is judged against and the original's is not, is printed apart and on neither side.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from features import ARTISTS, JOBS, ROOT, STEPS_SIZE, Ended, in_glue, measured

from local_aws.glue_runs import JAVA_OPTIONS
from ops.world import write_sample

IMAGE_PYTHON = ROOT / ".venvs" / "image" / "bin" / "python"
SIDES = ("ours", "original")


def in_image(side: str, data: Path) -> Ended:
    """Train and evaluate a side in the environment of the training image."""
    program = "benchmarks/pipeline_training.py"
    return measured([str(IMAGE_PYTHON), program, side, str(data)], dict(os.environ))


def ours(data: Path) -> dict[str, Ended]:
    """Run our stages; the flat judge first, since `assemble` reads it."""
    found = {}
    for job in JOBS:
        arguments = ("--JOB_RUN_ID", f"jr_{job}", "--data_uri", data.as_uri())
        found[job] = in_glue(f"glue_jobs/country/{job}.py", *arguments, java_options=JAVA_OPTIONS)
    return found | {"flat judge": in_image("flat", data), "training": in_image("ours", data)}


def originals(data: Path) -> dict[str, Ended]:
    """Run the original's stages."""
    return {
        "features": in_glue("benchmarks/original_features.py", str(data)),
        "training": in_image("original", data),
    }


def once(raw: Path, scratch: Path) -> dict[str, Any]:
    """Run both sides on copies of the raw files and return what each stage took and reached."""
    found: dict[str, Any] = {}
    for side, run in zip(SIDES, (ours, originals), strict=True):
        data = scratch / side
        shutil.copytree(raw, data / "raw" / "sample")
        stages = {name: vars(ended) for name, ended in run(data).items()}
        reached = json.loads((data / f"{side}-training.json").read_text())["test"]
        found[side] = {"stages": stages, "test": reached}
        shutil.rmtree(data)
    return found


def cpu_seconds(runs: list[dict[str, Any]], side: str, stage: str) -> float:
    """Return the median CPU seconds of a stage."""
    return statistics.median(run[side]["stages"][stage]["cpu_seconds"] for run in runs)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=STEPS_SIZE)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"SYNTHETIC listeners, {arguments.listeners:,}; CPU seconds, median of runs.\n")
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "raw"
        write_sample(raw, listeners=arguments.listeners, artists=ARTISTS)
        (raw / "_READY").touch()
        runs = [once(raw, Path(name) / str(number)) for number in range(arguments.repeats)]
    stages = {
        side: {stage: cpu_seconds(runs, side, stage) for stage in runs[0][side]["stages"]}
        for side in SIDES
    }
    judge = stages["ours"].pop("flat judge")
    total = {side: sum(by_stage.values()) for side, by_stage in stages.items()}
    for side, by_stage in stages.items():
        for stage, seconds in by_stage.items():
            print(f"{side:10s} {stage:12s} {seconds:8.1f}")
        print(f"{side:10s} {'all':12s} {total[side]:8.1f}   test: {runs[-1][side]['test']}")
    print(f"on neither side: the flat judge {judge:.1f}")
    ratio = total["original"] / total["ours"]
    print(f"\npipeline_vs_original {ratio:.2f}")
    document = {
        "ratios": {"pipeline_vs_original": ratio},
        "listeners": arguments.listeners,
        "cpu_seconds": {**stages, "flat judge": judge},
        "test": {side: runs[-1][side]["test"] for side in SIDES},
        "runs": runs,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
