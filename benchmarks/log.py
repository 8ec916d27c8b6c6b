"""The listening log from file to clean plays: ``python benchmarks/log.py --json FILE``.

Invented worlds of growing size go through `data invent`, `data convert`, `data check` and the
cleaning that all systems share, each a process of its own: seconds, the most memory, and the power
by which seconds grow with plays. Rows that go in are rows that come out and rows dropped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from processes import Ended, exponent, in_glue, on_command_line  # noqa: E402

SIZES = (1_000_000, 4_000_000, 16_000_000)
PLAYS_PER_LISTENER = 800
STEPS = ("invent", "convert", "check", "clean")


def walk(folder: Path, plays: int) -> tuple[int, dict[str, Ended], dict[str, int]]:
    """Take a world of about so many plays through all steps.

    Returns
    -------
    plays
        How many rows there are.
    took
        What each step took.
    dropped
        Rows that cleaning dropped, by reason.
    """
    world, converted = folder / "world", folder / "raw" / "converted"
    took = {
        "invent": on_command_line(
            *("data", "invent", str(world), "--plays", str(plays), "--artists", "20000"),
            *("--listeners", str(max(plays // PLAYS_PER_LISTENER, 500))),
        ),
        "convert": on_command_line("data", "convert", str(world), "--out", str(converted)),
        "check": on_command_line("data", "check", str(converted)),
        "clean": in_glue("benchmarks/clean_plays.py", str(folder)),
    }
    quality = json.loads((folder / "quality.json").read_text())
    dropped = {reason: n for reason, n in quality["dropped"].items() if n}
    if quality["rows_in"] != quality["rows_out"] + sum(dropped.values()):
        raise SystemExit(f"rows were lost: {quality}")
    return quality["rows_in"], took, dropped


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="plays")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print("SYNTHETIC plays; 2 cores.\n\n     plays  step     seconds  CPU s  peak GB")
    rows: list[dict[str, Any]] = []
    for size in map(int, arguments.sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            plays, took, dropped = walk(Path(name), size)
            shutil.rmtree(name)
        for step, ended in took.items():
            rows.append({"plays": plays, "step": step, **vars(ended)})
            print(
                f"{plays:>10,}  {step:8s} {ended.seconds:>7.1f} {ended.cpu_seconds:>6.1f} "
                f"{ended.peak_gb:>8.2f}",
                flush=True,
            )
        print(f"{'':10s}  dropped  {dropped}", flush=True)
    document: dict[str, Any] = {"scale": rows}
    sizes = sorted({row["plays"] for row in rows})
    if len(sizes) > 1:
        powers = {
            step: exponent(sizes, [row["seconds"] for row in rows if row["step"] == step])
            for step in STEPS
        }
        document["growth_exponent"] = max(powers.values())
        print("\ngrowth exponents", {step: round(power, 2) for step, power in powers.items()})
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")


if __name__ == "__main__":
    main()
