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

SYSTEM = "country"
"""Whose costs these tables tell."""
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
ALARMS = 6
DAYS = 30
CORES_A_DPU = 4
JOBS, FEWEST_WORKERS = 2, 2
DPUS = {"G.1X": 1, "G.2X": 2, "G.4X": 4, "G.8X": 8}
"""Data processing units of a Glue worker."""
SIZES = (10_000_000, 100_000_000)
"""Listeners of the scale."""


@dataclass(frozen=True)
class Line:
    """What something costs a month, in USD, and how that comes about."""

    what: str
    arithmetic: str
    usd: float


def least_dpu_hours(worker_type: str) -> float:
    """Return the DPU-hours of a Glue job that has next to nothing to do."""
    return float(FEWEST_WORKERS * DPUS[worker_type] * ASSUMED["glue_minutes"] / 60)


def a_listener(*names: str) -> float:
    """Return measured figures, added up, for one listener."""
    return float(sum(MEASURED[name] for name in names) / MEASURED["listeners"])


def dpu_hours(listeners: int, worker_type: str) -> float:
    """Return the DPU-hours of both feature jobs: what they compute, but at least their start."""
    cpu = a_listener("embeddings_cpu_seconds", "features_cpu_seconds") * listeners
    computing = cpu / (3600 * CORES_A_DPU * ASSUMED["busy_share"])
    return float(max(JOBS * least_dpu_hours(worker_type), computing))


def training_seconds(side: str) -> float:
    """Return the CPU seconds that a listener costs a side (``chain``, ``flat``) at full rounds."""
    rounds = ASSUMED["rounds"] * a_listener(f"{side}_seconds_a_round")
    return float(a_listener(f"{side}_seconds_loading") + rounds)


def training_hours(listeners: int, instance: str, *sides: str) -> float:
    """Return the hours of training sides on one instance, its jobs' overhead left out."""
    cores = FACTS["cores"][instance] * ASSUMED["busy_share"]
    return float(listeners * sum(map(training_seconds, sides)) / (3600 * cores))


def training_cost(settings: Settings, listeners: int) -> tuple[str, float]:
    """Return arithmetic and USD of one execution: region, countries, flat and assemble."""
    training = settings.deployed[SYSTEM].training
    overhead = ASSUMED["job_minutes"] / 60
    large, small = training.instance_type, training.small_instance_type
    hours = 3 * overhead + training_hours(listeners, large, "chain", "flat")
    countries = ASSUMED["country_jobs"] * overhead
    usd = hours * INSTANCE[large] + countries * INSTANCE[small]
    words = f"({hours:.2f} h {large} × {INSTANCE[large]:g} + "
    return words + f"{countries:.2f} h {small} × {INSTANCE[small]:g})", usd


def month(settings: Settings) -> list[Line]:
    """Return what an environment takes a month, if used as assumed."""
    usage = FACTS["usage"][settings.environment]
    listeners, runs, requests = usage["listeners"], usage["runs"], usage["requests"]
    serving = settings.serving
    hours = ASSUMED["hours_a_month"]
    price = INSTANCE[serving.instance_type]
    country = settings.deployed[SYSTEM]
    dpus = dpu_hours(listeners, country.glue.worker_type)
    words, execution = training_cost(settings, listeners)
    stored = listeners / 1e6 * ASSUMED["gb_per_million_listeners"]
    logs = runs * ASSUMED["logs_gb_a_run"]
    alarms = ALARMS + bool(country.drift)
    fixed = PRICES["kms_key_month"] + alarms * PRICES["alarm_month"] + PRICES["dashboard_month"]
    drifts = DAYS if country.drift else 0
    drift = least_dpu_hours(country.glue.worker_type)
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


def room(instance: str) -> float:
    """Return the bytes of an instance's memory that a job may fill."""
    return float(FACTS["memory_gb"][instance] * 1e9 * ASSUMED["memory_share"])


def scale(listeners: int) -> dict[str, str]:
    """Return what so many listeners take with the settings of prod, by name."""
    settings = load_settings("prod")
    country, serving = settings.deployed[SYSTEM], settings.serving
    glue, training = country.glue, country.training
    dpus = dpu_hours(listeners, glue.worker_type)
    most = DPUS[glue.worker_type] * glue.max_workers
    held = listeners * 1e6 * a_listener("flat_peak_mb")
    hosts = math.ceil(held / room(training.instance_type))
    chain, flat = (
        training_hours(listeners, training.instance_type, side) / hosts
        for side in ("chain", "flat")
    )
    mean = listeners * ASSUMED["asked_a_month"] / (ASSUMED["hours_a_month"] * 3600)
    peak = mean * ASSUMED["peak_over_mean"]
    fleet = max(serving.min_instances, math.ceil(peak / answers(serving.instance_type)))
    host = INSTANCE[training.instance_type]
    a_run = dpus * PRICES["glue_dpu_hour"] + hosts * (chain + flat) * host
    endpoint = fleet * ASSUMED["hours_a_month"] * INSTANCE[serving.instance_type]
    return {
        "Glue, DPU-hours a run": f"{dpus:,.1f}",
        f"Glue, hours of both jobs at {most} DPUs": f"{dpus / most:,.2f}",
        "memory of the region or flat model's training, GB": f"{held / 1e9:,.0f}",
        f"hosts for each of the two ({training.instance_type})": f"{hosts}",
        "training the chain, hours": f"{chain:,.2f}",
        "training the flat judge, hours": f"{flat:,.2f}",
        "requests a second at the peak": f"{peak:,.0f}",
        f"endpoint instances ({serving.instance_type})": f"{fleet}",
        "USD a run (Glue, training)": f"{a_run:,.0f}",
        "USD a month of the endpoint": f"{endpoint:,.0f}",
    }


def answers(instance: str) -> float:
    """Return the answers a second of an endpoint instance."""
    a_core = MEASURED["answers_a_second"] / MEASURED["answering_cores"]
    return float(FACTS["cores"][instance] * a_core)


def limits() -> list[tuple[str, float, str]]:
    """Return what breaks with the settings of prod: what, at how many listeners, who answers it."""
    settings = load_settings("prod")
    country, serving = settings.deployed[SYSTEM], settings.serving
    glue, training = country.glue, country.training
    cores = DPUS[glue.worker_type] * glue.max_workers * CORES_A_DPU * ASSUMED["busy_share"]
    slower = max(a_listener(f"{job}_cpu_seconds") for job in ("embeddings", "features"))
    vector = 4 * ASSUMED["features"]
    in_time = training.max_runtime_minutes / 60
    month = ASSUMED["hours_a_month"] * 3600 / (ASSUMED["asked_a_month"] * ASSUMED["peak_over_mean"])
    found = [
        (
            f"memory of one {training.instance_type}, on which the flat model trains",
            room(training.instance_type) / (1e6 * a_listener("flat_peak_mb")),
            "`training.instance_count`: hosts train one model, each on its share of the files",
        ),
        (
            f"memory of one {training.small_instance_type}, for the largest region's countries",
            room(training.small_instance_type)
            / (1e6 * a_listener("chain_peak_mb") * ASSUMED["largest_region"]),
            "`training.small_instance_type`",
        ),
        (
            f"`training.max_runtime_minutes` ({training.max_runtime_minutes}) on one host",
            in_time / training_hours(1, training.instance_type, "flat"),
            "`training.instance_count`, or the minutes themselves",
        ),
        (
            f"disk of `assemble` ({training.volume_gb} GB), which downloads all features",
            training.volume_gb * 1e9 * ASSUMED["memory_share"] / vector,
            "`training.volume_gb`",
        ),
        (
            f"memory of `assemble` on one {training.instance_type}, which holds all features",
            room(training.instance_type) / vector,
            "`training.instance_type` with more memory; it cannot be divided over hosts",
        ),
        (
            f"`glue.timeout_minutes` ({glue.timeout_minutes}) of a Glue job with "
            f"{glue.max_workers} {glue.worker_type}",
            glue.timeout_minutes * 60 * cores / slower,
            "`glue.max_workers`, `glue.worker_type`",
        ),
        (
            f"`serving.max_instances` ({serving.max_instances}), each listener asked once a month",
            serving.max_instances * answers(serving.instance_type) * month,
            "`serving.max_instances`",
        ),
    ]
    return sorted(found, key=lambda limit: limit[1])


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


def limits_table() -> str:
    """Return what breaks first."""
    rows = [[what, f"{listeners / 1e6:,.0f} million", who] for what, listeners, who in limits()]
    return table(rows, ["limit", "listeners", "setting that answers it"])


def tables() -> dict[str, str]:
    """Return every table by its name."""
    months = {name: month_table(name) for name in ENVIRONMENTS}
    return months | {"scale": scale_table(), "limits": limits_table()}


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
