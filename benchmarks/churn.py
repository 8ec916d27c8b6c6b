"""How good and how fast the churn system is: ``python benchmarks/churn.py --json FILE``.

    --parts quality,world,speed,request    some of them
    --data FOLDER                          real data: dunnhumby, cdnow, listening_log, musicbox
    --pymc PYTHON                          an interpreter with pymc-marketing 0.19.2, pandas and
                                           pyarrow, for BG/NBD

Quality's features come from both Glue jobs, its models from the training's own functions, every
listener judged by models that never saw them (`churn_folds`). World goes all the way as shipped.
Intervals are of 95% and draw listeners with all their rows. Speed's logs are invented.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker"), str(ROOT / "benchmarks" / "stand_in")]

import churn_logs  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from churn_folds import OURS, Everyone, Said, rotate  # noqa: E402
from churn_request import measure  # noqa: E402
from processes import exponent, in_glue, on_command_line  # noqa: E402
from way import AsShipped, quality_of, run_jobs  # noqa: E402

from churn.data import FeaturesManifest, read_snapshots  # noqa: E402
from churn.evaluation import Judged, summary  # noqa: E402
from listening.archive import load  # noqa: E402
from listening.churn.bundle import ChurnBundle  # noqa: E402
from listening.intervals import Interval, bootstrap  # noqa: E402
from listening.resources import READY  # noqa: E402
from listening.systems import ASSEMBLE, SYSTEMS  # noqa: E402
from ops.world.world import write_world  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SYSTEM = SYSTEMS["churn"]
AT_MOST = {
    *("dunnhumby_ece", "auc_below_planted", "log_loss_above_planted", "growth_exponent"),
    *("features_minutes_14m", "features_minutes_130m"),
}
SHOWN = ("auc", "average_precision", "log_loss", "brier", "ece", "gain_top_tenth")
LOGS = ((75_000, 1_750_000), (600_000, 14_000_000), (600_000, 130_000_000))
MOST_GB = 16
BGNBD = "bg/nbd"


@dataclass
class Told:
    """What the benchmark found, as it is written to ``--json``."""

    bars: dict[str, float] = field(default_factory=dict)
    sides: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write all as JSON."""
        document = {
            "bars": self.bars,
            "at_least": [name for name in self.bars if name not in AT_MOST],
            "at_most": [name for name in self.bars if name in AT_MOST],
            "sides": self.sides,
        }
        path.write_text(json.dumps(document, indent=1), "utf-8")


class Way(AsShipped):
    """A bucket's folder of churn that went all the way."""

    system = SYSTEM


@dataclass(frozen=True)
class Data:
    """A data set of the folder, as a batch of plays, and what is asked of it.

    Parameters
    ----------
    write
        Writes the batch from the data set's folder.
    snapshots
        Arguments of the job.
    horizons
        Days that are judged.
    by_time
        Whether test dates are later; else listeners alone differ.
    """

    write: Callable[[Path, Path], None]
    snapshots: tuple[str, ...]
    horizons: tuple[int, ...]
    by_time: bool = True


def dunnhumby(source: Path, batch: Path) -> None:
    """Write purchases as plays."""
    found = pd.read_parquet(source / "events.parquet")
    plays(batch, found["household_id"], found["transaction_timestamp"], found["product_id"])


def cdnow(source: Path, batch: Path) -> None:
    """Write purchases, of which the day is known, as plays: one for each disc.

    They are of 1997 and 1998, before any play was ever logged: they are moved by 20 years.
    """
    names = ["customer", "date", "discs", "dollars"]
    found = pd.read_csv(source / "CDNOW_master.txt", sep=r"\s+", skiprows=1, names=names)
    found = found.loc[found.index.repeat(found["discs"].clip(1))]
    day = pd.to_datetime(found["date"].astype(str)) + pd.DateOffset(years=20)
    plays(batch, found["customer"], day, pd.Series(np.arange(len(found))))


def listening_log(source: Path, batch: Path) -> None:
    """Convert the log as its owner would."""
    batch.rmdir()
    on_command_line("data", "convert", str(source), "--out", str(batch))


def plays(batch: Path, user: pd.Series, at: pd.Series, track: pd.Series) -> None:
    """Write a table of plays."""
    instant = pa.array(at.dt.tz_localize(None).astype("datetime64[us]"))
    table = {
        "user_id": pa.array(user.astype(str)),
        "played_at": instant,
        "track_id": pa.array(track.astype(str)),
    }
    pq.write_table(pa.table(table), batch / "plays.parquet")


DATA = {
    "dunnhumby": Data(dunnhumby, (), (14,)),
    "cdnow": Data(cdnow, ("--horizons", "56", "--every_days", "28"), (56,)),
    "listening_log": Data(listening_log, ("--log_ends", "each"), (3, 7, 14), by_time=False),
}


def quality(told: Told, options: argparse.Namespace, folder: Path) -> None:
    """Judge the families on real data, beside the recipe's, BG/NBD and recency."""
    for name, data in DATA.items():
        source = options.data / name
        if not source.is_dir():
            print(f"{name}: left out, nothing at {source} (--data or LISTENING_DATA)")
            continue
        bucket = folder / name
        batch = bucket / "raw" / "b"
        if not (batch / READY).exists():
            batch.mkdir(parents=True)
            data.write(source, batch)
            (batch / READY).touch()
            run_jobs(bucket, SYSTEM, {"snapshots": data.snapshots})
        everyone = Everyone.of(bucket, run="jr_snapshots", by_time=data.by_time)
        for days in data.horizons:
            said = rotate(everyone, days)
            if options.pymc and name != "listening_log":
                said.risks[BGNBD] = bgnbd(options.pymc, said, days, folder)
            table(told, f"{name}, {days} days", said)
            bars(told, name, days)
    musicbox(told, options, folder)


def table(told: Told, title: str, said: Said) -> None:
    """Print and keep how everyone did."""
    _, listener = np.unique(said.listener, return_inverse=True)
    judged = {name: Judged(listener, said.gone, risk) for name, risk in said.risks.items()}
    intervals, differences = bootstrap(
        judged, summary, against=[(OURS, name) for name in judged if name != OURS]
    )
    print(
        f"\n{title}: {len(said.gone):,} rows of {listener.max() + 1:,} listeners, "
        f"{said.gone.sum():,} gone; chosen {', '.join(said.families)}"
    )
    show(intervals, differences)
    told.sides[title] = {
        "rows": len(said.gone),
        "gone": int(said.gone.sum()),
        "listeners": int(listener.max()) + 1,
        "families": said.families,
        "models": {n: {m: one.to_json() for m, one in by.items()} for n, by in intervals.items()},
        "ours_minus": {
            other: {m: one.to_json() for m, one in by.items()}
            for (_, other), by in differences.items()
        },
    }


def show(
    intervals: dict[str, dict[str, Interval]],
    differences: dict[tuple[str, str], dict[str, Interval]],
) -> None:
    """Print a table of metrics."""
    print(f"{'':22s}" + "".join(f"{metric:>23s}" for metric in SHOWN[:5]) + "  AUC ours minus")
    for name, metrics in intervals.items():
        cells = (
            f"{metrics[m].value:.4f} [{metrics[m].low:.3f}, {metrics[m].high:.3f}]"
            for m in SHOWN[:5]
        )
        line = f"{name.replace('_', ' '):22s}" + "".join(f"{cell:>23s}" for cell in cells)
        if (OURS, name) in differences:
            d = differences[OURS, name]["auc"]
            line += f"  {d.value:+.4f} [{d.low:+.3f}, {d.high:+.3f}]"
        print(line, flush=True)


def bars(told: Told, name: str, days: int) -> None:
    """Keep the figures that have a bar."""
    own = {m: one["value"] for m, one in told.sides[f"{name}, {days} days"]["models"][OURS].items()}
    if name == "dunnhumby":
        theirs = told.sides[f"{name}, {days} days"]["models"]
        best = max(one["auc"]["value"] for n, one in theirs.items() if n.startswith("recipe_"))
        told.bars["dunnhumby_auc"], told.bars["dunnhumby_ece"] = own["auc"], own["ece"]
        told.bars["dunnhumby_auc_above_recipe"] = own["auc"] - best
    elif name == "cdnow":
        told.bars["cdnow_auc"] = own["auc"]
    elif days < 14:
        told.bars[f"lapse{days}_auc"] = own["auc"]


def bgnbd(python: str, said: Said, days: int, folder: Path) -> Any:
    """Return what BG/NBD says of the test rows, each turn fitted on its own training rows."""
    found = []
    for turn, (train, test) in enumerate(said.law):
        asked, answer = folder / f"asked-{turn}.npz", folder / f"answer-{turn}.npy"
        np.savez(asked, train=train, test=test)
        script = str(ROOT / "benchmarks" / "churn_bgnbd.py")
        subprocess.run(
            [python, script, str(asked), str(answer), str(days)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        found.append(np.load(answer).clip(1e-6, 1 - 1e-6))
    return np.concatenate(found)


def musicbox(told: Told, options: argparse.Namespace, folder: Path) -> None:
    """Take the damaged rows of a real app through conversion and the first job, and count them."""
    source = options.data / "musicbox"
    if not source.is_dir():
        print(f"musicbox: left out, nothing at {source}")
        return
    bucket = folder / "musicbox"
    batch = bucket / "raw" / "b"
    if not (batch / READY).exists():
        # The app's logs have their date in the name alone, which the sample's names lack.
        dated = bucket / "dated"
        dated.mkdir(parents=True)
        for kind in ("play", "down", "search"):
            shutil.copyfile(source / f"{kind}_sample.log", dated / f"20170330_{kind}.log")
        on_command_line("data", "convert", str(dated), "--out", str(batch))
        (batch / READY).touch()
    job = in_glue(
        *("glue_jobs/churn/activity.py", "--JOB_RUN_ID", "jr_activity"),
        *("--data_uri", bucket.as_uri(), "--max_dropped_share", "1"),
    )
    converted = json.loads((batch / "convert.json").read_text())
    counted = quality_of(bucket, SYSTEM, "activity")
    lines = {one.name: one.read_bytes().count(b"\n") for one in sorted(source.iterdir())}
    print(f"\nmusicbox: lines {lines}; the job took {job.seconds:.0f} s")
    for name, one in {
        **converted["tables"],
        **{f"job: {t}": counted[t] for t in ("plays", "events")},
    }.items():
        dropped = {reason: n for reason, n in one["dropped"].items() if n}
        rows_in, rows_out = one["rows_in"], one["rows_out"]
        print(f"  {name}: {rows_in:,} in = {rows_out:,} out + {sum(dropped.values()):,} {dropped}")
        if rows_in != rows_out + sum(dropped.values()):
            raise SystemExit(f"musicbox: rows of {name} were lost")
    told.sides["musicbox"] = {"lines": lines, "converted": converted["tables"], "job": counted}


def world(told: Told, options: argparse.Namespace, folder: Path) -> Path:
    """Judge the bundle of an invented world beside what is the best possible there."""
    batch = folder / "raw" / "world"
    if not (batch / READY).exists():
        write_world(batch, listeners=options.listeners, plays=options.plays)
        (batch / READY).touch()
    way = Way.walk(folder)
    manifest = FeaturesManifest.read(way.features)
    test = read_snapshots(way.features / "snapshots" / "split=test", manifest)
    bundle = ChurnBundle(load(way.models / ASSEMBLE))
    planted = ds.dataset(batch / "planted" / "churn").to_table()
    users = pa.array(test.user_ids)
    known = planted.filter(pc.is_in(planted["user_id"], value_set=users))
    key = pc.index_in(known["user_id"], value_set=users).to_numpy().astype(np.int64) * 100_000
    key += known["at"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy() // 86_400_000_000
    order = np.argsort(key)
    asked = test.listener * 100_000 + test.date
    place = np.searchsorted(key[order], asked).clip(max=len(key) - 1)
    there = (key[order[place]] == asked) & ~test.is_bot
    risks = bundle.risks(np.ascontiguousarray(test.rows[there]))
    _, listener = np.unique(test.listener[there], return_inverse=True)
    row = order[place][there]
    print(
        f"\nSYNTHETIC world of {options.listeners:,} listeners and about {options.plays:,} plays; "
        f"{there.sum():,} test rows, {len(there) - there.sum():,} more have no planted forecast or "
        f"are bots; {', '.join(f'{n} {s:.0f} s' for n, s in way.seconds.items())}"
    )
    worst = {"auc": -1.0, "log_loss": -1.0}
    for i, horizon in enumerate(bundle.horizons):
        gone = known[f"gone{horizon.days}"].to_numpy()[row]
        agree = float((gone == test.gone[there, i]).mean())
        judged = {
            OURS: Judged(listener, gone, risks.probability[:, i]),
            "planted": Judged(listener, gone, known[f"p{horizon.days}"].to_numpy()[row]),
            "recency": Judged(listener, gone, risks.recency_alone[:, i]),
        }
        intervals, differences = bootstrap(
            judged, summary, against=[(OURS, "planted"), (OURS, "recency")], draws=200
        )
        print(f"{horizon.days} days, by {horizon.model.family}; labels agree {agree:.4%}")
        show(intervals, differences)
        below = intervals["planted"]["auc"].value - intervals[OURS]["auc"].value
        above = intervals[OURS]["log_loss"].value / intervals["planted"]["log_loss"].value - 1
        worst = {"auc": max(worst["auc"], below), "log_loss": max(worst["log_loss"], above)}
        told.sides[f"world, {horizon.days} days"] = {
            "auc_below": below,
            "log_loss_above": above,
            "models": {
                n: {m: one.to_json() for m, one in by.items()} for n, by in intervals.items()
            },
        }
    told.bars["auc_below_planted"] = worst["auc"]
    told.bars["log_loss_above_planted"] = worst["log_loss"]
    return way.models / ASSEMBLE


def speed(told: Told, options: argparse.Namespace, folder: Path) -> None:
    """Measure how both jobs' time grows, and their CPU beside the recipe's on the same input."""
    print(
        "\nINVENTED plays and events, ten dates; the recipe's one\n"
        "  listeners         rows  job            seconds  CPU s  peak GB"
    )
    rows: list[dict[str, Any]] = []
    for listeners, wanted in options.logs:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            bucket = Path(name)
            churn_logs.write_log(bucket / "raw" / "b", listeners=listeners, rows=wanted)
            took = run_jobs(bucket, SYSTEM, {"snapshots": ("--every_days", "1")})
            document = json.loads(
                (bucket / SYSTEM.output("snapshots") / "jr_snapshots" / "manifest.json").read_text()
            )
            if wanted <= options.most_of_recipe:
                took["recipe"] = in_glue(
                    *("benchmarks/churn_recipe_jobs.py", str(bucket / "raw" / "b")),
                    *(str(bucket / "recipe"), str(document["dates"]["test"][-1])),
                )
        dates = len({d for p, ds_ in document["dates"].items() if p != "by_time" for d in ds_})
        for job, ended in took.items():
            rows.append({"listeners": listeners, "rows": wanted, "job": job, **vars(ended)})
            print(
                f"{listeners:>11,} {wanted:>12,}  {job:14s} {ended.seconds:>7.0f} "
                f"{ended.cpu_seconds:>6.0f} {ended.peak_gb:>8.1f}"
                f"{'' if ended.peak_gb < MOST_GB else ' TOO MUCH'}",
                flush=True,
            )
        ours = [took[job] for job in ("activity", "snapshots")]
        minutes = sum(one.seconds for one in ours) / 60
        for size, bar in ((14_000_000, "14m"), (130_000_000, "130m")):
            if wanted == size:
                told.bars[f"features_minutes_{bar}"] = minutes
        if "recipe" in took:
            plain = took["recipe"].cpu_seconds / sum(one.cpu_seconds for one in ours)
            told.bars["snapshots_vs_recipe_cpu"] = plain * dates
            told.sides[f"recipe's CPU over ours, {wanted:,} rows"] = {
                "recipe_at_one_date": plain,
                "a_date": plain * dates,
                "our_dates": dates,
            }
            print(
                f"  the recipe's CPU at one date over ours at {dates}: {plain:.2f}; "
                f"a date {plain * dates:.1f}"
            )
    told.sides["scale"] = rows
    sizes = [wanted for _, wanted in options.logs]
    if len(sizes) > 1:
        powers = {}
        for unit in ("seconds", "cpu_seconds"):
            totals = [
                sum(r[unit] for r in rows if r["rows"] == size and r["job"] != "recipe")
                for size in sizes
            ]
            powers[unit] = exponent(sizes, totals)
        told.bars["growth_exponent"] = powers["seconds"]
        told.sides["growth_exponent"] = powers
        print(f"growth_exponent {powers['seconds']:.2f}, of CPU time {powers['cpu_seconds']:.2f}")


def main() -> None:
    """Measure, print and write."""
    options = given(sys.argv[1:])
    told = Told()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.work or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if "quality" in options.parts:
            quality(told, options, folder)
        if "world" in options.parts:
            world(told, options, folder / "world")
        if "request" in options.parts:
            sides = measure(requests=options.requests)
            told.sides["request"] = sides
            told.bars["request_vs_sklearn"] = sides["sklearn"]["p50_ms"] / sides["ours"]["p50_ms"]
            print(f"request_vs_sklearn {told.bars['request_vs_sklearn']:.1f}")
        if "speed" in options.parts:
            speed(told, options, folder)
    print("\n" + "  ".join(f"{name} {value:.4f}" for name, value in told.bars.items()))
    if options.json:
        told.write(options.json)


def given(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="quality,world,speed,request", type=_list)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LISTENING_DATA", "data")))
    parser.add_argument("--pymc", help="an interpreter that has pymc-marketing")
    parser.add_argument("--listeners", type=int, default=600_000, help="of the world")
    parser.add_argument("--plays", type=int, default=60_000_000, help="of the world, about")
    parser.add_argument("--logs", default=LOGS, type=_logs, help="listeners:rows, with commas")
    parser.add_argument(
        "--most-of-recipe", type=int, default=130_000_000, help="rows, else not run"
    )
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--work", type=Path, help="keep what is made there, and go on from it")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


def _list(text: str) -> list[str]:
    return text.split(",")


def _logs(text: str) -> list[tuple[int, int]]:
    pairs = (pair.split(":") for pair in text.split(","))
    return [(int(float(listeners)), int(float(rows))) for listeners, rows in pairs]


if __name__ == "__main__":
    begins = time.perf_counter()
    main()
    print(f"took {(time.perf_counter() - begins) / 60:.1f} minutes")
