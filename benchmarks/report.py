"""One page of all benchmarks, from what they wrote with ``--json``: ``report.py FOLDER``.

It reads those of `BENCHMARKS` that the folder has as JSON, and writes ``index.html`` there, with
everything in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "sagemaker"))

import plots  # noqa: E402
from report_frame import html_template  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("report.html.j2")

AIMS = {
    "embeddings_vs_original": 5.0,
    "listener_vectors_vs_original": 5.0,
    "chain_vs_flat_cpu": 3.5,
    "latency_vs_original": 500.0,
    "latency_vs_plain_chain": 3.0,
    "latency_vs_mms": 2.0,
    "throughput_vs_mms": 2.0,
    "batch_1k_vs_plain": 2.0,
    "cold_load_vs_text_and_dict": 5.0,
    "memory_vs_dict": 3.0,
    "busy_latency_ratio": 0.33,
    "pipeline_vs_original": 3.0,
}
"""How many times the other side each ratio should reach, at least."""
GROWTH = "growth_exponent"
MOST_GROWTH = 1.1
BENCHMARKS = ("log", "features", "training", "serving", "quality", "pipeline")
METRICS = ("accuracy", "top5", "macro_f1", "macro_top5", "tail10_top5", "log_loss")
INK = ("#1d5fbf", "#d9772b", "#6b7280", "#8a4bb8")


@dataclass(frozen=True)
class Measured:
    """A figure beside its aim."""

    benchmark: str
    name: str
    value: float
    aim: float
    reached: bool

    @property
    def aimed(self) -> str:
        """The aim in words."""
        return f"{'at most' if self.name == GROWTH else 'at least'} {self.aim:g}"


def read(folder: Path) -> dict[str, Any]:
    """Return the benchmarks' documents by name."""
    files = {name: folder / f"{name}.json" for name in BENCHMARKS}
    found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    if not found:
        raise SystemExit(
            f"{folder}: none of {', '.join(file.name for file in files.values())}; "
            "run a benchmark with --json there, or `make bench`"
        )
    return found


def measured(documents: Mapping[str, Any]) -> list[Measured]:
    """Return every figure that has an aim."""
    rows = [
        Measured(benchmark, name, value, AIMS[name], value >= AIMS[name])
        for benchmark, document in documents.items()
        for name, value in document.get("ratios", {}).items()
        if name in AIMS
    ]
    for benchmark, document in documents.items():
        growth = document.get(GROWTH)
        if growth is not None:
            rows.append(Measured(benchmark, GROWTH, growth, MOST_GROWTH, growth <= MOST_GROWTH))
    return rows


def ratios_chart(rows: Iterable[Measured]) -> Markup:
    """Draw each ratio as a multiple of its aim, on a logarithmic axis."""
    shares = {
        f"{row.name} of {row.benchmark}" if row.name == GROWTH else row.name: row.aim / row.value
        if row.name == GROWTH
        else row.value / row.aim
        for row in rows
    }
    height, left, width = 24, 220, 620
    scale = plots.Scale(min(0.3, *shares.values()), max(3.0, *shares.values()), log=True)

    def x(value: float) -> float:
        return left + scale.place(value) * (width - left - 90)

    parts = []
    for i, (name, share) in enumerate(shares.items()):
        y = height * i + 8
        start, end = sorted((x(1), x(share)))
        parts.append(
            f'<text x="{left - 8}" y="{y + 12}" text-anchor="end" fill="{plots.INK}">{name}</text>'
            f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="15" rx="2" '
            f'fill="{INK[0] if share >= 1 else INK[1]}"/>'
            f'<text x="{end + 6:.1f}" y="{y + 12}" fill="{plots.SOFT}">{share:.2f} × aim</text>'
        )
    tall = height * len(shares) + 8
    line = f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="0" y2="{tall}" stroke="{plots.INK}"/>'
    return plots.svg("Ratios beside their aims", width, tall, [*parts, line])


def growth_chart(rows: list[dict[str, Any]]) -> Markup:
    """Draw each job's time by listeners."""
    sizes = sorted({row["listeners"] for row in rows})
    seconds = [row["seconds"] for row in rows]
    frame = plots.Frame(
        "Time of the Glue jobs by listeners",
        plots.Scale(min(sizes) / 1.2, max(sizes) * 1.2, log=True),
        plots.Scale(min(seconds) / 1.3, max(seconds) * 1.3, log=True),
    ).axes("listeners", "seconds", x_format="{:,.0f}".format)
    jobs = dict(zip(sorted({row["job"] for row in rows}), INK, strict=False))
    for job, colour in jobs.items():
        own = sorted((r["listeners"], r["seconds"]) for r in rows if r["job"] == job)
        frame.curve([size for size, _ in own], [second for _, second in own], colour)
        for size, second in own:
            frame.dot(size, second, colour=colour, words=f"{job}, {size:,}: {second:.0f} s")
    frame.legend(jobs)
    return frame.svg()


def stages_chart(cpu: Mapping[str, Any]) -> Markup:
    """Draw the CPU seconds of each side's stages beside each other."""
    sides = {side: stages for side, stages in cpu.items() if isinstance(stages, dict)}
    names = dict.fromkeys(stage for stages in sides.values() for stage in stages)
    colours = dict(zip(names, INK, strict=False))
    longest = max(sum(stages.values()) for stages in sides.values())
    left, width, height = 90, 560, 38
    parts = []
    for i, (side, stages) in enumerate(sides.items()):
        x, y = float(left), height * i + 6
        parts.append(
            f'<text x="{left - 8}" y="{y + 18}" text-anchor="end" fill="{plots.INK}">{side}</text>'
        )
        for stage, seconds in stages.items():
            wide = (width - left - 10) * seconds / longest
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="26" fill="{colours[stage]}">'
                f"<title>{stage}: {seconds:.0f} s</title></rect>"
                f'<text x="{x + wide / 2:.1f}" y="{y + 18}" text-anchor="middle" fill="#fff">'
                f"{seconds:.0f}</text>"
            )
            x += wide
    tall = height * len(sides) + 6
    for i, (stage, colour) in enumerate(colours.items()):
        x = left + 110 * i
        parts.append(
            f'<rect x="{x}" y="{tall + 4}" width="10" height="10" rx="2" fill="{colour}"/>'
            f'<text x="{x + 16}" y="{tall + 13}" fill="{plots.SOFT}">{stage}</text>'
        )
    return plots.svg("CPU seconds of the pipeline", width, tall + 20, parts)


def page(documents: Mapping[str, Any]) -> str:
    """Return the page."""
    rows = measured(documents)
    features, pipeline = documents.get("features"), documents.get("pipeline")
    return html_template(TEMPLATE).render(
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        written=time.strftime("%Y-%m-%d"),
        missing=[name for name in BENCHMARKS if name not in documents],
        rows=rows,
        metrics=METRICS,
        documents=documents,
        ratios=ratios_chart(rows) if rows else None,
        growth=growth_chart(features["scale"]) if features else None,
        stages=stages_chart(pipeline["cpu_seconds"]) if pipeline else None,
    )


def main() -> None:
    """Write the page and say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    target = folder / "index.html"
    target.write_text(page(read(folder)), "utf-8")
    print(target)


if __name__ == "__main__":
    main()
