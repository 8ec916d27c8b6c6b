"""What it costs, by arithmetic: each environment's month, and ten and a hundred million listeners.

    python benchmarks/cost.py [--write]

Prints the tables of docs/cost.md and docs/scale.md, or writes them there: from
infra/environments.toml, and from the prices, assumptions and measured costs of ``prices.toml``
beside this file.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from infra.settings import Settings, load_settings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

FACTS = tomllib.loads(Path(__file__).with_name("prices.toml").read_text())
PRICES, ASSUMED, MEASURED = FACTS["prices"], FACTS["assumed"], FACTS["measured"]
INSTANCE = PRICES["instance_hour"]
ENVIRONMENTS = ("dev", "staging", "prod")
PAGES = (ROOT / "docs" / "cost.md", ROOT / "docs" / "scale.md")
ALARMS = 5
DAYS = 30
CORES_A_DPU = 4
JOBS, FEWEST_WORKERS = 2, 2
DPUS = {"G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8}
"""Data processing units of a Glue worker."""
SIZES = (10_000_000, 100_000_000)
SERVING, TRAINING = "ml.m5.xlarge", "ml.m5.4xlarge"
"""Instances of the scale: those of prod."""


@dataclass(frozen=True)
class Line:
    """What something costs a month, in USD, and how that comes about."""

    what: str
    arithmetic: str
    usd: float


def least_dpu_hours(worker_type: str) -> float:
    """Return the DPU-hours of a Glue job that has next to nothing to do."""
    return float(FEWEST_WORKERS * DPUS[worker_type] * ASSUMED["glue_minutes"] / 60)


def dpu_hours(listeners: int, worker_type: str) -> float:
    """Return the DPU-hours of both feature jobs: what they compute, but at least their start."""
    cpu = MEASURED["glue_fixed"] + MEASURED["glue_a_listener"] * listeners
    computing = cpu / (3600 * CORES_A_DPU * ASSUMED["busy_share"])
    return float(max(JOBS * least_dpu_hours(worker_type), computing))


def training_hours(listeners: int, instance: str, a_listener: float) -> float:
    """Return the hours of training on one instance, its jobs' overhead left out."""
    cores = FACTS["cores"][instance] * ASSUMED["busy_share"]
    return float(listeners * a_listener / (3600 * cores))


def training_cost(settings: Settings, listeners: int) -> tuple[str, float]:
    """Return arithmetic and USD of one execution: region, countries, flat and assemble."""
    training = settings.training
    overhead = ASSUMED["job_minutes"] / 60
    large, small = training.instance_type, training.country_instance_type
    a_listener = MEASURED["chain_a_listener"] + MEASURED["flat_a_listener"]
    hours = 3 * overhead + training_hours(listeners, large, a_listener)
    countries = ASSUMED["country_jobs"] * overhead
    share = PRICES["spot_share"] if training.spot else 1.0
    usd = share * (hours * INSTANCE[large] + countries * INSTANCE[small])
    spot = f" × {share:g} for spot" if training.spot else ""
    words = f"({hours:.2f} h {large} × {INSTANCE[large]:g} + "
    return words + f"{countries:.2f} h {small} × {INSTANCE[small]:g}){spot}", usd


def month(settings: Settings) -> list[Line]:
    """Return what an environment takes a month, if used as assumed."""
    usage = FACTS["usage"][settings.environment]
    listeners, runs, requests = usage["listeners"], usage["runs"], usage["requests"]
    serving = settings.serving
    hours = ASSUMED["hours_a_month"]
    price = INSTANCE[serving.instance_type]
    dpus = dpu_hours(listeners, settings.features.worker_type)
    words, execution = training_cost(settings, listeners)
    stored = listeners / 1e6 * ASSUMED["gb_per_million_listeners"]
    logs = runs * ASSUMED["logs_gb_a_run"]
    alarms = ALARMS + bool(settings.drift)
    fixed = PRICES["kms_key_month"] + alarms * PRICES["alarm_month"] + PRICES["dashboard_month"]
    drifts = DAYS if settings.drift else 0
    drift = least_dpu_hours(settings.features.worker_type)
    return [
        Line(
            "endpoint",
            f"{serving.min_instances} {serving.instance_type} × {hours} h × {price:g}",
            serving.min_instances * hours * price,
        ),
        Line(
            "features",
            f"{runs} runs × {dpus:.3f} DPU-hours × {PRICES['glue_dpu_hour']:g}",
            runs * dpus * PRICES["glue_dpu_hour"],
        ),
        Line(
            "drift, daily",
            f"{drifts} runs × {drift:.3f} DPU-hours × {PRICES['glue_dpu_hour']:g}",
            drifts * drift * PRICES["glue_dpu_hour"],
        ),
        Line("training", f"{runs} runs × {words}", runs * execution),
        Line(
            "S3",
            f"{stored:.1f} GB × {PRICES['s3_gb_month']:g}",
            stored * PRICES["s3_gb_month"],
        ),
        Line("logs", f"{logs:.1f} GB × {PRICES['logs_gb']:g}", logs * PRICES["logs_gb"]),
        Line(
            "API",
            f"{requests / 1e6:g} million requests × {PRICES['api_million_requests']:g}",
            requests / 1e6 * PRICES["api_million_requests"],
        ),
        Line(
            "key, alarms, dashboard",
            f"{PRICES['kms_key_month']:g} + {alarms} × {PRICES['alarm_month']:g} + "
            f"{PRICES['dashboard_month']:g}",
            fixed,
        ),
    ]


def scale(listeners: int) -> dict[str, str]:
    """Return what so many listeners take, by name."""
    worker = load_settings("prod").features
    dpus = dpu_hours(listeners, worker.worker_type)
    most = DPUS[worker.worker_type] * worker.max_workers
    train = listeners * ASSUMED["train_share"]
    held = train * ASSUMED["bytes_a_listener"] / 1e9
    room = FACTS["memory_gb"][TRAINING] * ASSUMED["memory_share"]
    hosts = math.ceil(held / room)
    chain, flat = (
        training_hours(listeners, TRAINING, MEASURED[f"{side}_a_listener"]) / hosts
        for side in ("chain", "flat")
    )
    asked = listeners * ASSUMED["asked_a_month"] / (ASSUMED["hours_a_month"] * 3600)
    answers = FACTS["cores"][SERVING] * MEASURED["answers_a_core"]
    fleet = max(2, math.ceil(asked * ASSUMED["peak_over_mean"] / answers))
    a_run = dpus * PRICES["glue_dpu_hour"] + hosts * (chain + flat) * INSTANCE[TRAINING]
    serving = fleet * ASSUMED["hours_a_month"] * INSTANCE[SERVING]
    return {
        "Glue, DPU-hours a run": f"{dpus:,.1f}",
        f"Glue, hours at {most} DPUs": f"{dpus / most:,.2f}",
        "training matrix, GB": f"{held:,.0f}",
        f"training hosts ({TRAINING})": f"{hosts}",
        "training the chain, hours": f"{chain:,.2f}",
        "training the flat judge, hours": f"{flat:,.2f}",
        "requests a second at the peak": f"{asked * ASSUMED['peak_over_mean']:,.0f}",
        f"endpoint instances ({SERVING})": f"{fleet}",
        "USD a run (Glue, training)": f"{a_run:,.0f}",
        "USD a month of the endpoint": f"{serving:,.0f}",
    }


def table(rows: Iterable[Iterable[str]], header: list[str]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def month_table(environment: str) -> str:
    """Return an environment's month."""
    lines = month(load_settings(environment))
    rows = [[line.what, line.arithmetic, f"{line.usd:,.2f}"] for line in lines]
    rows.append(["**all**", "", f"**{sum(line.usd for line in lines):,.0f}**"])
    return table(rows, ["what", "arithmetic", "USD a month"])


def scale_table() -> str:
    """Return what the sizes of the scale take."""
    columns: list[dict[str, Any]] = [scale(size) for size in SIZES]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return table(rows, ["", *(f"{size // 1_000_000} million listeners" for size in SIZES)])


def tables() -> dict[str, str]:
    """Return every table by its name."""
    return {name: month_table(name) for name in ENVIRONMENTS} | {"scale": scale_table()}


def with_tables(page: str) -> str:
    """Return a page with its tables, each between two comments, made anew."""
    for name, text in tables().items():
        page = re.sub(
            rf"(<!-- table {name} -->\n).*?(<!-- end -->)",
            lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}",
            page,
            flags=re.DOTALL,
        )
    return page


def main() -> None:
    """Print all tables, or write them into the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into docs/")
    if parser.parse_args().write:
        for page in PAGES:
            page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
        return
    for name, text in tables().items():
        print(f"\n{name}\n\n{text}")


if __name__ == "__main__":
    main()
