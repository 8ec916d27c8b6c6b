"""How good and how fast the sessions system is: ``python benchmarks/sessions.py --json FILE``.

    --parts quality,world,speed,request    some of them
    --data FOLDER                          a real log, for quality
    --keras PYTHON                         an interpreter with Keras and pandas: .venv/bin/python
                                           after `make recurrent`

Quality and world go all the way as shipped: both Glue jobs, the training tasks, the judge.
Intervals are of 95% and draw listeners with all their sessions. Speed's logs are invented.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker"), str(ROOT / "benchmarks" / "stand_in")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import sessions_keras  # noqa: E402
import sessions_logs  # noqa: E402
import sessions_recipe  # noqa: E402
from processes import exponent, on_command_line  # noqa: E402
from sessions_judging import Compared, compared, matched, share  # noqa: E402
from sessions_way import SYSTEM, Way  # noqa: E402
from way import quality_of, run_jobs  # noqa: E402

from inference.sessions.handler import SessionsHandler  # noqa: E402
from listening.archive import load  # noqa: E402
from listening.log.raw_formats import SYNTHETIC  # noqa: E402
from listening.resources import READY  # noqa: E402
from listening.sessions.forecast import LEVELS, MEDIAN  # noqa: E402
from listening.sessions.recurrent import Recurrent  # noqa: E402
from ops.world.best import Forecast  # noqa: E402
from ops.world.world import write_world  # noqa: E402
from sessions.evaluation import FEW  # noqa: E402
from sessions.fitting import pinball  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessions.baselines import Floats

AT_LEAST = ("features_vs_recipe", "request_vs_gru")
REMAINING_AT = (8, 21)  # plays
LOGS = ((992, 1_200_000), (992, 4_800_000), (992, 19_200_000), (50_000, 19_200_000))
LOOP_LOG = {"listeners": 8, "plays": 100_000}
MOST_GB = 16
PUBLISHED_LISTENERS = 992
WORLD_OF_REQUESTS = {"listeners": 500, "plays": 150_000}
HISTORY = 60  # sessions of a request
REQUESTS = 200
HOUR_S = 60 * 60


@dataclass
class Told:
    """What the benchmark found, as it is written to ``--json``."""

    bars: dict[str, float] = field(default_factory=dict)
    sides: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def bar(self, name: str, found: Compared) -> None:
        """Keep and print a bar with both sides and its interval."""
        self.bars[name] = found.ratio.value
        self.figure(name, found)

    def figure(self, name: str, found: Compared) -> None:
        """Keep and print a figure that is no bar."""
        self.sides[name.strip()] = found.to_json()
        print(
            f"{name:40s} {found.ours:>9.1f} {found.theirs:>9.1f} {found.ratio.value:>7.3f} "
            f"[{found.ratio.low:.3f}, {found.ratio.high:.3f}] {found.rows:>7,} "
            f"{found.listeners:>6,}",
            flush=True,
        )

    def share(self, name: str, found: Compared, *, bar: bool = False) -> None:
        """Keep and print a share of sessions."""
        if bar:
            self.bars[name] = found.ratio.value
        self.sides[name.strip()] = found.to_json()
        print(
            f"{name:40s} {'':>19s} {found.ratio.value:>7.3f} "
            f"[{found.ratio.low:.3f}, {found.ratio.high:.3f}] {found.rows:>7,} "
            f"{found.listeners:>6,}",
            flush=True,
        )

    def write(self, path: Path) -> None:
        """Write all as JSON."""
        least = [name for name in self.bars if name in AT_LEAST]
        ranges = [name for name in self.bars if name == "coverage_10_90"]
        document = {
            "bars": self.bars,
            "at_least": least,
            "at_most": [name for name in self.bars if name not in (*least, *ranges)],
            "between": {name: [0.78, 0.82] for name in ranges},
            "sides": self.sides,
            **self.parts,
        }
        path.write_text(json.dumps(document, indent=1), "utf-8")


def heading(text: str) -> None:
    """Print what the table is of, and its first line."""
    print(f"\n{text}\n{'':40s} {'ours':>9s} {'theirs':>9s} {'ratio':>7s} {'95%':^14s} ", end="")
    print(f"{'sessions':>9s} {'listeners':>9s}")


def steps(way: Way) -> str:
    """Return what each step took, in words."""
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in way.seconds.items())


def quality(told: Told, options: argparse.Namespace, folder: Path) -> Way:
    """Judge the bundle of a real log."""
    batch = folder / "raw" / "log"
    if not (batch / READY).exists():
        if (options.data / "convert.json").exists():
            shutil.copytree(options.data, batch)
        else:
            on_command_line("data", "convert", str(options.data), "--out", str(batch))
        (batch / READY).touch()
    way = Way.walk(folder)
    synthetic = (batch / SYNTHETIC).exists()
    heading(f"{'SYNTHETIC' if synthetic else 'Real'} log, test sessions; errors in seconds")
    test = way.sessions["test"]
    owner, length = test.user_ids[test.listener], test.length
    said, own = way.lengths(test), way.own_quantiles()
    error, theirs = (np.abs(length - q[:, MEDIAN]) for q in (said, own))
    told.bar("mae_vs_running_median", compared(error, theirs, owner))
    told.bar("mae_vs_listener_mean", compared(error, np.abs(length - way.own_means()), owner))
    alike = np.abs(length - way.everyone[MEDIAN])
    told.figure("mae_vs_global_median", compared(error, alike, owner))
    told.bar(
        "pinball_vs_listener_quantiles",
        compared(pinball(length, said), pinball(length, own), owner),
    )
    within = (length >= said[:, 0]) & (length <= said[:, -1])
    told.share("coverage_10_90", share(within, owner), bar=True)
    for place, level in enumerate(LEVELS):
        told.share(f"below_{level}", share(length <= said[:, place], owner))
    for play in REMAINING_AT:
        told.bar(f"remaining_{play}", compared(*way.remaining(play)))
    if "held_out" in way.sessions:
        unseen(told, way, options.folds)
    if options.keras:
        against_recipe(told, way, options, folder, error)
    else:
        print("mae_vs_recipe: left out, no interpreter with Keras (--keras)")
    print(f"\n{steps(way)}")
    agree(way, told)
    told.parts["quality"] = {"synthetic": synthetic, "seconds": way.seconds}
    return way


def agree(way: Way, told: Told) -> None:
    """Say whether the judge comes to the same figures.

    Raises
    ------
    SystemExit
        It does not.
    """
    metrics = way.judged["metrics"]
    for ours, judges in (
        ("mae_vs_running_median", "mae_vs_running_median"),
        ("mae_vs_listener_mean", "mae_vs_own_mean"),
        ("pinball_vs_listener_quantiles", "pinball_vs_own_quantiles"),
        ("remaining_8", "remaining_8_vs_own_median"),
        ("remaining_21", "remaining_21_vs_own_median"),
    ):
        if abs(metrics[judges] - told.bars[ours]) > 1e-6:
            raise SystemExit(f"{ours} is {told.bars[ours]}, but the judge says {metrics[judges]}")


def unseen(told: Told, way: Way, folds: int) -> None:
    """Judge the bundle on listeners of whom nothing was trained on.

    Those held out are few. So the model of a session's start is also trained without each fold of
    the others in turn, to see the first sessions of all.
    """
    held = way.sessions["held_out"]
    owner = held.user_ids[held.listener]
    own = sessions_recipe.running_median(pd.DataFrame({"listener": owner, "length": held.length}))
    error = np.abs(held.length - way.lengths(held)[:, MEDIAN])
    alike = np.abs(held.length - way.everyone[MEDIAN])
    later, few = held.number > 0, held.number < FEW
    told.bar(
        "unseen_vs_running_median",
        compared(error[later], np.abs(held.length - own)[later], owner[later]),
    )
    told.bar("few_sessions_vs_global_median", compared(error[few], alike[few], owner[few]))
    some = few & later
    told.figure("  the same, 1 to 4 known", compared(error[some], alike[some], owner[some]))
    told.figure(
        "  1 to 4 known vs running median",
        compared(error[some], np.abs(held.length - own)[some], owner[some]),
    )
    if folds:
        told.figure(
            f"  few sessions of all, {folds} folds",
            compared(
                *(
                    np.concatenate(pair)
                    for pair in zip(
                        (error[few], alike[few], owner[few]),
                        way.first_sessions_unseen(few=FEW, folds=folds),
                        strict=True,
                    )
                )
            ),
        )


def against_recipe(
    told: Told, way: Way, options: argparse.Namespace, folder: Path, error: Floats
) -> None:
    """Judge the bundle beside the published recipe on the same sessions."""
    frame = way.recipe_frame()
    listeners = frame["listener"].nunique()
    fewest = sessions_recipe.SMALLEST_CLUSTER * listeners / PUBLISHED_LISTENERS
    settings = {
        "smallest": min(round(fewest), sessions_recipe.SMALLEST_CLUSTER),
        "epochs": options.epochs,
        "cluster_epochs": options.cluster_epochs,
        "seed": 0,
    }
    known = frame[["start", "length"]].to_numpy().tobytes() + json.dumps(settings).encode()
    out = folder / f"recipe-{hashlib.sha256(known).hexdigest()[:12]}.npz"
    if not out.exists():
        frame.to_parquet(folder / "frame.parquet")
        command = [str(folder / "frame.parquet"), str(out), json.dumps(settings)]
        subprocess.run(in_keras(options, "recipe", *command), check=True)
    found = json.loads(out.with_suffix(".json").read_text())
    test = way.sessions["test"]
    owner = test.user_ids[test.listener]
    with np.load(out) as answers:
        errors = {name: np.abs(test.length - answers[name]) for name in answers.files}
    best = min(errors, key=lambda name: float(errors[name].mean()))
    told.bar("mae_vs_recipe", compared(error, errors[best], owner))
    for name, theirs in errors.items():
        told.figure(f"  recipe, {name.replace('_', ' ')}", compared(error, theirs, owner))
    normalised = found["normalised"]
    print(
        f"\nThe recipe's clusters hold {found['listeners_of_clusters']} listeners, those of over "
        f"{settings['smallest']} have a model; epochs {settings['epochs']}, of its clusters "
        f"{settings['cluster_epochs'] or 'as published'}.\n"
        f"As it reckons, its normalised error is {normalised['published']:.3f}; the very same "
        f"answers in seconds, over each listener's training mean: {normalised['right']:.3f} "
        f"({normalised['mae']:.0f} s over {normalised['baseline']:.0f} s)."
    )
    told.parts["recipe"] = {"settings": settings, "opponent": best, **found}


def in_keras(options: argparse.Namespace, *arguments: str) -> list[str]:
    """Return the command of a task of `sessions_keras`."""
    return [options.keras, str(ROOT / "benchmarks" / "sessions_keras.py"), *arguments]


def world(told: Told, options: argparse.Namespace, folder: Path) -> Way:
    """Judge the bundle of an invented world beside what is the best possible there."""
    batch = invented(folder, listeners=options.listeners, plays=options.plays)
    way = Way.walk(folder)
    planted = ds.dataset(batch / "planted" / "sessions").to_table()
    test = way.sessions["test"]
    owner = test.user_ids[test.listener]
    began = planted["started_at"].to_numpy().astype("datetime64[ms]").astype(np.int64) / 1e3
    users = planted["user_id"].to_numpy()
    place = matched((owner, test.start), (users, began))
    there = place >= 0
    forecast = Forecast(
        planted["log_mean"].to_numpy().astype(float)[place[there]],
        planted["log_sd"].to_numpy().astype(float)[place[there]],
    )
    length, said = test.length[there], way.lengths(test)[there]
    heading(
        f"SYNTHETIC world of {options.listeners:,} listeners and about {options.plays:,} plays, "
        "test sessions; errors in seconds"
    )
    error, own = np.abs(length - said[:, MEDIAN]), way.own_quantiles()[there]
    best = np.abs(length - forecast.quantile(0.5))
    told.bar("mae_vs_planted", compared(error, best, owner[there]))
    of_planted = np.stack([forecast.quantile(level) for level in LEVELS], axis=1)
    told.figure(
        "pinball_vs_planted",
        compared(pinball(length, said), pinball(length, of_planted), owner[there]),
    )
    told.figure(
        "running median vs planted",
        compared(np.abs(length - own[:, MEDIAN]), best, owner[there]),
    )
    within = (length >= said[:, 0]) & (length <= said[:, -1])
    told.share("within 10 to 90%", share(within, owner[there]))
    off = np.abs(length - planted["length_s"].to_numpy()[place[there]])
    before = way.before
    every = matched((before.user_ids[before.listener], before.start), (users, began))
    print(
        f"\n{(~there).sum():,} of {len(test):,} test sessions begin when none was planted, and are "
        f"left out here ({(every < 0).sum():,} of all {len(before):,}); {(off > 1).sum():,} of the "
        f"rest are over a second shorter or longer than planted.\n{steps(way)}"
    )
    told.parts["world"] = {
        "test_sessions": len(test),
        "unmatched": int((~there).sum()),
        "other_length": int((off > 1).sum()),
        "seconds": way.seconds,
    }
    return way


def invented(folder: Path, *, listeners: int, plays: int) -> Path:
    """Write an invented world as the ready batch of a bucket, unless it is there."""
    batch = folder / "raw" / "world"
    if not (batch / READY).exists():
        write_world(batch, listeners=listeners, plays=plays, processes=1)
        (batch / READY).touch()
    return batch


def speed(told: Told, options: argparse.Namespace, folder: Path) -> None:
    """Measure how the jobs' time grows, and their arithmetic beside the recipe's loop."""
    found = sessions_logs.features_vs_recipe(**LOOP_LOG)
    told.bars["features_vs_recipe"] = found["ratio"]
    told.sides["features_vs_recipe"] = found
    unit = 1e6 / found["plays"]
    print(
        f"\nCPU microseconds a play, {found['plays']:,} plays, medians of three, no Spark\n"
        f"cutting and folding {found['ours_s'] * unit:.2f}, "
        f"cleaning {found['cleaning_s'] * unit:.2f}, the recipe's loop "
        f"{found['recipe_s'] * unit:.1f}\n"
        f"features_vs_recipe {found['ratio']:.1f}; with cleaning on our side alone "
        f"{found['ratio_with_cleaning']:.1f}",
        flush=True,
    )
    print("\nINVENTED plays\nlisteners       plays  job                seconds  CPU s  peak GB")
    rows: list[dict[str, Any]] = []
    for listeners, plays in options.logs:
        bucket = folder / f"log-{listeners}-{plays}"
        shutil.rmtree(bucket, ignore_errors=True)
        sessions_logs.write_log(bucket / "raw" / "log", listeners=listeners, plays=plays)
        took = run_jobs(bucket, SYSTEM)
        kept = quality_of(bucket, SYSTEM, "sessions")["sessions"]
        shutil.rmtree(bucket)
        for job, ended in took.items():
            rows.append({"listeners": listeners, "plays": plays, "job": job, **vars(ended)})
            print(
                f"{listeners:>9,} {plays:>11,}  {job:18s} {ended.seconds:>7.0f} "
                f"{ended.cpu_seconds:>6.0f} {ended.peak_gb:>8.1f}"
                f"{'' if ended.peak_gb < MOST_GB else ' TOO MUCH'}",
                flush=True,
            )
        print(f"{'':23s}{kept['rows_in']:,} plays to {kept['rows_out']:,} sessions", flush=True)
    told.parts["scale"] = rows
    one = options.logs[0][0]
    sizes = sorted({row["plays"] for row in rows if row["listeners"] == one})
    if len(sizes) > 1:
        powers = {}
        for unit in ("seconds", "cpu_seconds"):
            total = [
                sum(r[unit] for r in rows if (r["listeners"], r["plays"]) == (one, size))
                for size in sizes
            ]
            powers[unit] = exponent(sizes, total)
        told.bars["growth_exponent"] = powers["seconds"]
        told.sides["growth_exponent"] = powers
        print(f"growth_exponent {powers['seconds']:.2f}, of CPU time {powers['cpu_seconds']:.2f}")


def request(told: Told, options: argparse.Namespace, folder: Path, bundle: Path) -> None:
    """Measure one request through the bundle and through a GRU, alternating."""
    handler = SessionsHandler(load(bundle))
    bodies = [body(seed) for seed in range(options.requests + sessions_keras.WARM_UP)]
    took: dict[str, list[float]] = {"ours": [], "gru in keras": [], "gru in numpy": []}
    if not options.keras:
        print("request_vs_gru: left out, no interpreter with Keras (--keras)")
        return
    arrays = folder / "gru"
    with subprocess.Popen(
        in_keras(options, "gru", str(arrays)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as keras:
        assert keras.stdin is not None
        assert keras.stdout is not None
        if keras.stdout.readline().strip() != b"ready":
            raise SystemExit("Keras did not start; what it says stands above")
        recurrent = Recurrent.of(
            json.loads((arrays / "gru.json").read_text()), dict(np.load(arrays / "gru.npz"))
        )
        for one in bodies:
            seconds, _ = timed(
                lambda one=one: handler.answer(one, "application/json", "application/json")
            )
            took["ours"].append(seconds)
            keras.stdin.write(one + b"\n")
            keras.stdin.flush()
            said = json.loads(keras.stdout.readline())
            took["gru in keras"].append(said["seconds"])
            seconds, answer = timed(
                lambda one=one: sessions_keras.answer(
                    recurrent.quantiles(*sessions_keras.sequence(one))
                )
            )
            took["gru in numpy"].append(seconds)
            check_same(json.loads(answer), said["answer"])
        keras.stdin.close()
    print(
        f"\nOne request with {HISTORY} sessions, JSON in and out, milliseconds; {options.requests} "
        "requests, alternating"
    )
    told.sides["request_vs_gru"] = {}
    for name, every in took.items():
        p50, p95 = np.quantile(every[sessions_keras.WARM_UP :], [0.5, 0.95]) * 1e3
        told.sides["request_vs_gru"][name] = {"p50_ms": p50, "p95_ms": p95}
        print(f"{name:14s} p50 {p50:>8.2f}  p95 {p95:>8.2f}")
    sides = told.sides["request_vs_gru"]
    told.bars["request_vs_gru"] = sides["gru in keras"]["p50_ms"] / sides["ours"]["p50_ms"]
    print(f"request_vs_gru {told.bars['request_vs_gru']:.1f}")


def timed(one: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took and what it returned."""
    begins = time.perf_counter()
    found = one()
    return time.perf_counter() - begins, found


def check_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Refuse to time two GRUs that do not answer the same.

    Raises
    ------
    SystemExit
        They do not.
    """
    mine, other = (list(answer["length_s"].values()) for answer in (ours, theirs))
    if not np.allclose(mine, other, rtol=1e-3, atol=0.01):
        raise SystemExit(f"the GRU says {mine} in numpy, {other} in Keras")


def body(seed: int) -> bytes:
    """Return a request with a history."""
    rng = np.random.default_rng(seed)
    length = rng.lognormal(7.5, 0.8, HISTORY).clip(60, 6 * HOUR_S).round()
    gap = rng.exponential(9 * HOUR_S, HISTORY).round() + HOUR_S
    end = 1.7e9 + np.cumsum(length + gap)
    plays = np.maximum(length // 200, 1).astype(int)
    sessions = [
        {"start": instant(e - n), "end": instant(e), "plays": int(p), "skips": int(p // 5)}
        for e, n, p in zip(end, length, plays, strict=True)
    ]
    return json.dumps({"sessions": sessions, "now": instant(end[-1] + 7 * HOUR_S)}).encode()


def instant(seconds: float) -> str:
    """Return a time as requests have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def main() -> None:
    """Measure, print and write."""
    options = given(sys.argv[1:])
    told = Told()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.work or Path(scratch)
        bundle: Path | None = None
        if "quality" in options.parts:
            if options.data.is_dir():
                bundle = quality(told, options, folder / "quality").models / "assemble"
            else:
                print(f"quality: left out, no log at {options.data} (--data or LISTENING_DATA)")
        if "world" in options.parts:
            bundle = world(told, options, folder / "world").models / "assemble"
        if "request" in options.parts:
            if bundle is None:
                invented(folder / "small", **WORLD_OF_REQUESTS)
                bundle = Way.walk(folder / "small").models / "assemble"
            request(told, options, folder, bundle)
        if "speed" in options.parts:
            speed(told, options, folder)
    if options.json:
        told.write(options.json)


def given(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="quality,world,speed,request", type=_list)
    default = os.environ.get("LISTENING_DATA", "data")
    parser.add_argument("--data", type=Path, default=Path(default) / "listening_log")
    parser.add_argument("--keras", default=_own_keras(), help="an interpreter that has Keras")
    parser.add_argument("--epochs", type=int, default=sessions_recipe.EPOCHS, help="the recipe's")
    parser.add_argument("--cluster-epochs", type=int, help="of its clusters; its own unless given")
    parser.add_argument("--folds", type=int, default=5, help="of listeners, for few sessions")
    parser.add_argument("--listeners", type=int, default=2_000, help="of the world")
    parser.add_argument("--plays", type=int, default=600_000, help="of the world")
    parser.add_argument("--logs", default=LOGS, type=_logs, help="listeners:plays, with commas")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--work", type=Path, help="keep what is made there, and go on from it")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


def _own_keras() -> str | None:
    there = all(importlib.util.find_spec(name) for name in ("keras", "jax"))
    return sys.executable if there else None


def _list(text: str) -> list[str]:
    return text.split(",")


def _logs(text: str) -> list[tuple[int, int]]:
    pairs = (pair.split(":") for pair in text.split(","))
    return [(int(listeners), int(plays)) for listeners, plays in pairs]


if __name__ == "__main__":
    main()
