"""The feature jobs beside the original's steps: ``python benchmarks/features.py --json FILE``.

Artist embeddings and listener vectors of both sides are made from the same cleaned plays in one
Spark session, alternating, by medians; Spark's start is on neither side. How good the vectors are
is told by a logistic regression on top of them. Then both jobs run whole at three sizes: how time
grows with listeners, and the most memory that a job and all its processes held.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
from processes import exponent, in_glue  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from listening.countries import country_code  # noqa: E402
from listening.resources import QUALITY  # noqa: E402
from ops.world import write_sample  # noqa: E402

if TYPE_CHECKING:
    import numpy.typing as npt

SIZES = (20_000, 80_000, 320_000)
STEPS_SIZE = 20_000
ARTISTS = 50_000
JOBS = ("embeddings", "features")


def steps(folder: Path, repeats: int) -> dict[str, Any]:
    """Return seconds and quality of each step on both sides."""
    write_sample(folder / "raw" / "sample", listeners=STEPS_SIZE, artists=ARTISTS)
    in_glue("benchmarks/feature_steps.py", str(folder), str(repeats))
    seconds = json.loads((folder / "steps.json").read_text())
    users = ds.dataset(folder / "raw" / "sample" / "users.parquet").to_table().to_pydict()
    codes = dict(zip(users["user_id"], map(country_code, users["country"]), strict=True))
    return {
        "seconds": seconds,
        "quality": {side: quality(folder / side, codes) for side in ("ours", "original")},
    }


def quality(folder: Path, codes: dict[str, str | None]) -> dict[str, float]:
    """Return accuracy and top-5 accuracy of a logistic regression on listener vectors."""
    table = ds.dataset(folder).to_table().sort_by("user_id")
    users = table.column("user_id").to_pylist()
    features = np.array(table.column("features").to_pylist(), dtype=np.float32)
    country = np.array([codes.get(user) or "" for user in users])
    split = np.array(table.column("split").to_pylist())
    train, test = ((country != "") & (split == name) for name in ("train", "validation"))
    scale = StandardScaler().fit(features[train])
    model = LogisticRegression(C=0.1, max_iter=100).fit(
        scale.transform(features[train]), country[train]
    )
    chances: npt.NDArray[np.float64] = model.predict_proba(scale.transform(features[test]))
    best = model.classes_[np.argsort(-chances, axis=1)[:, :5]]
    return {
        "accuracy": float((best[:, 0] == country[test]).mean()),
        "top5": float((best == country[test][:, None]).any(axis=1).mean()),
    }


def scale(folder: Path, listeners: int) -> list[dict[str, Any]]:
    """Run both jobs on a sample of this size and return what each took."""
    write_sample(folder / "raw" / "sample", listeners=listeners, artists=ARTISTS)
    (folder / "raw" / "sample" / "_READY").touch()
    rows = []
    for job in JOBS:
        ended = in_glue(
            *(f"glue_jobs/country/{job}.py", "--JOB_RUN_ID", f"jr_{job}"),
            *("--data_uri", folder.as_uri()),
        )
        report = json.loads((folder / "country" / job / f"jr_{job}" / QUALITY).read_text())
        dropped = report["plays" if job == "embeddings" else "listeners"]["dropped"]
        rows.append({"listeners": listeners, "job": job, **vars(ended), "dropped": dropped})
    return rows


def growth_exponent(rows: list[dict[str, Any]]) -> float:
    """Return by which power of listeners both jobs' time grows: the steepest of the steps."""
    sizes = sorted({row["listeners"] for row in rows})
    total = [sum(row["seconds"] for row in rows if row["listeners"] == n) for n in sizes]
    return exponent(sizes, total)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="listeners")
    parser.add_argument("--repeats", type=int, default=3, help="of each side's embeddings")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print("SYNTHETIC listeners; 2 cores.\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = steps(folder / "steps", arguments.repeats)
        seconds = found["seconds"]
        ratios = {
            f"{ours}_vs_original": seconds[f"{step}_original"] / seconds[f"{step}_ours"]
            for ours, step in (("embeddings", "embeddings"), ("listener_vectors", "listeners"))
        }
        print(f"{STEPS_SIZE:,} listeners       original      ours   ratio")
        for (ratio, value), step in zip(ratios.items(), ("embeddings", "listeners"), strict=True):
            original, ours = seconds[f"{step}_original"], seconds[f"{step}_ours"]
            print(f"{ratio:30s} {original:7.1f} s {ours:7.1f} s {value:6.1f}")
        for side, figures in found["quality"].items():
            print(f"logistic regression on the vectors of {side}: {figures}")
        print("\nlisteners  job         seconds  CPU s  peak GB  dropped", flush=True)
        rows = []
        for size in map(int, arguments.sizes.split(",")):
            for row in scale(folder / str(size), size):
                rows.append(row)
                print(
                    f"{size:>9,}  {row['job']:10s} {row['seconds']:>8.0f} "
                    f"{row['cpu_seconds']:>6.0f} {row['peak_gb']:>8.1f}  {row['dropped']}",
                    flush=True,
                )
            shutil.rmtree(folder / str(size))
    document = {"ratios": ratios, **found, "scale": rows}
    if len({row["listeners"] for row in rows}) > 1:
        document["growth_exponent"] = growth_exponent(rows)
        print(f"\ngrowth exponent {document['growth_exponent']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
