"""What training costs: the chain beside the flat model at equal rounds, and as data grows.

    python benchmarks/training.py [--sizes 20000,80000,320000] [--json FILE]

Both sides call the training job's own `fit` on generated listeners of the original's shape (119
countries, 13 regions, its shares of listeners) with one thread, and are judged by CPU time. Each
measurement is a process of its own, so that its peak memory is its own. Only a few rounds are
trained; the time of `ROUNDS` is extrapolated from them and printed as such.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker")]

from country.features import Listeners  # noqa: E402
from country.fitting import Machine, Task, country_task, fit, flat_task, region_task  # noqa: E402
from country.recipe import recipe_for  # noqa: E402
from listening.country.layout import Block, FeatureLayout  # noqa: E402
from listening.regions import Region, RegionTable  # noqa: E402

SIZES = (20_000, 80_000, 320_000)
FEW = (2, 12)
"""Rounds that are trained: their difference gives the time of one, the rest is loading."""
ROUNDS = 100
REPEATS = {20_000: 3, 80_000: 3}
DIMENSIONS = 64
SHARES = (70_237, 64_400, 21_637, 19_610, 18_517, 14_738, 11_384) + (
    (10_079, 9_389, 8_156, 5_422, 1_252, 616)
)
"""Training listeners of the original's regions (REFERENCE.md)."""
COUNTRIES = (24, 7, 2, 7, 11, 12, 7, 19, 5, 8, 11, 5, 1)
"""Countries of each: 119."""


def region_table() -> RegionTable:
    """Return 13 regions with 119 made-up countries."""
    codes = iter(f"{a}{b}" for a in "ABCDEFGHIJ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return RegionTable(
        tuple(
            Region(f"region-{i}", f"Region {i}", tuple(next(codes) for _ in range(n)))
            for i, n in enumerate(COUNTRIES)
        )
    )


def layout_of(regions: RegionTable) -> FeatureLayout:
    """Return the layout that the Glue job `features` writes by default."""
    countries = tuple(regions.region_of)
    slugs = tuple(region.slug for region in regions.regions)
    return FeatureLayout(
        (
            Block("vector", DIMENSIONS),
            Block("affinity", len(countries), countries),
            Block("region_affinity", len(slugs), slugs),
            Block("evidence", 1),
            Block("log_list_length", 1),
            Block("log_total_scrobbles", 1),
        )
    )


def listeners(n: int, regions: RegionTable, layout: FeatureLayout, *, seed: int) -> Listeners:
    """Generate listeners: within a region, countries' shares fall as 1 / rank."""
    rng = np.random.default_rng(seed)
    shares = []
    for region, size in zip(regions.regions, SHARES, strict=True):
        falling = 1 / np.arange(1, len(region.countries) + 1)
        shares.append(size * falling / falling.sum())
    p = np.concatenate(shares)
    codes = np.array(list(regions.region_of))
    country = rng.choice(len(codes), size=n, p=p / p.sum())
    features = rng.normal(size=(n, layout.width)).astype(np.float32)
    features[:, layout.slice_of("vector")] += rng.normal(size=(len(codes), DIMENSIONS))[country]
    rows = np.arange(n)
    features[rows, layout.columns("affinity")[country]] += 2
    region = np.repeat(np.arange(len(COUNTRIES)), COUNTRIES)[country]
    features[rows, layout.columns("region_affinity")[region]] += 2
    return Listeners(rows.astype(str), codes[country], features)


def measure(side: str, size: int, rounds: int) -> dict[str, float]:
    """Train one side and return its CPU seconds and the process's peak memory in MB."""
    regions = region_table()
    layout = layout_of(regions)
    train = listeners(size * 8 // 10, regions, layout, seed=1)
    validation = listeners(size // 10, regions, layout, seed=2)
    counts = {code: int((train.countries == code).sum()) for code in regions.region_of}
    tasks = [flat_task(regions, counts)]
    if side == "chain":
        tasks = [region_task(regions, counts)]
        tasks += [country_task(region, counts) for region in regions.regions]
    before = time.process_time()
    for task in tasks:
        _fit(task, train, validation, layout, rounds)
    return {
        "cpu_seconds": time.process_time() - before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _fit(
    task: Task, train: Listeners, validation: Listeners, layout: FeatureLayout, rounds: int
) -> None:
    recipe = recipe_for(
        task.level,
        listeners=int(task.counts.sum()),
        effective_classes=task.effective_classes,
        hyperparameters={"max_rounds": str(rounds), "early_stopping_rounds": "0"},
    )
    own = tuple(task.class_of)
    fit(
        task,
        train.of(own),
        validation.of(own),
        layout=layout,
        recipe=recipe,
        seed=1,
        machine=Machine(num_threads=1),
    )


def in_a_process(side: str, size: int, rounds: int) -> dict[str, float]:
    """Return what `measure` returns in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", side, str(size), str(rounds)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(size: int) -> dict[str, dict[str, float]]:
    """Measure both sides of one size, alternating, and return medians."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {
        side: {rounds: [] for rounds in FEW} for side in ("chain", "flat")
    }
    for _ in range(REPEATS.get(size, 1)):
        for rounds in FEW:
            for side, by_rounds in found.items():
                by_rounds[rounds].append(in_a_process(side, size, rounds))
    result = {}
    for side, by_rounds in found.items():
        few, more = (
            statistics.median(one["cpu_seconds"] for one in by_rounds[rounds]) for rounds in FEW
        )
        a_round = (more - few) / (FEW[1] - FEW[0])
        result[side] = {
            "cpu_seconds_a_round": a_round,
            "cpu_seconds_loading": few - FEW[0] * a_round,
            "cpu_seconds_extrapolated": few + (ROUNDS - FEW[0]) * a_round,
            "peak_mb": max(one["peak_mb"] for ones in by_rounds.values() for one in ones),
        }
    return result


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        side, size, rounds = arguments.measure
        print(json.dumps(measure(side, int(size), int(rounds))))
        return
    print(
        "SYNTHETIC listeners, 119 countries in 13 regions, one thread. "
        f"'{ROUNDS} rounds' is extrapolated from {FEW[1]}.\n"
    )
    print("listeners  side   CPU s/round  loading s  100 rounds s  peak MB  flat/chain a round")
    sizes = {}
    for size in map(int, arguments.sizes.split(",")):
        found = compare(size)
        ratio = found["flat"]["cpu_seconds_a_round"] / found["chain"]["cpu_seconds_a_round"]
        sizes[size] = {**found, "ratio": ratio}
        for side, one in found.items():
            print(
                f"{size:>9,}  {side:5s}  {one['cpu_seconds_a_round']:>11.3f}  "
                f"{one['cpu_seconds_loading']:>9.2f}  {one['cpu_seconds_extrapolated']:>12.0f}  "
                f"{one['peak_mb']:>7.0f}  {f'{ratio:.2f}' if side == 'flat' else '':>18s}",
                flush=True,
            )
    largest = max(sizes)
    document = {"ratios": {"chain_vs_flat_cpu": sizes[largest]["ratio"]}, "sizes": sizes}
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
