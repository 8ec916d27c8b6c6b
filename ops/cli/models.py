"""Commands over the bundles: list, compare, promote, roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer  # noqa: TC002 - typer reads the annotations

from listening.systems import SYSTEMS
from ops import registry, store
from ops.cli.console import say, say_json, say_table
from ops.cli.progress import REACH, Journey
from ops.cli.system import DEFAULT, SystemName
from ops.cli.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(no_args_is_help=True, help="The bundles: list, compare, promote, roll back.")

MOST_METRICS = 3
"""Of the gate's metrics, in its order: more do not fit a terminal."""
Version = Annotated[str, typer.Argument(help="Bundle version.")]


@app.command("list")
def list_(context: typer.Context) -> None:
    """List every bundle that training assembled, by system, newest first."""
    target = Target.of(context)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        champions = registry.champions(connection)
        bundles = {name: registry.registered_bundles(connection, name) for name in champions}
    if target.as_json:
        say_json(bundles)
        return
    for system, champion in champions.items():
        for label, synthetic in (("", False), (" (SYNTHETIC listeners)", True)):
            some = [bundle for bundle in bundles[system] if bundle.synthetic == synthetic]
            if some or not (synthetic or bundles[system]):
                _say_bundles(f"Bundles of {system}{label}", some, system=system)
        if not any(bundle.champion for bundle in bundles[system]):
            say(f"The champion of {system} is {champion}, which no training registered.")


def _say_bundles(title: str, bundles: Sequence[registry.RegisteredBundle], *, system: str) -> None:
    metrics = [metric.name for metric in SYSTEMS[system].gate.metrics[:MOST_METRICS]]
    say_table(
        title,
        ["Version", "Created", "Runs ", "State", *(f"{_words(m).capitalize()} " for m in metrics)],
        [
            (
                bundle.version,
                f"{bundle.created:%Y-%m-%d %H:%M}",
                str(bundle.registrations),
                _state(bundle),
                *(_number(bundle.metrics.get(metric)) for metric in metrics),
            )
            for bundle in bundles
        ],
    )


def _state(bundle: registry.RegisteredBundle) -> str:
    if bundle.published:
        return "champion" if bundle.champion else "published"
    return "archive gone" if bundle.decision == "Approved" else "refused"


@app.command()
def compare(
    context: typer.Context,
    version: Version,
    other: Annotated[str | None, typer.Argument(help="Another; else the champion.")] = None,
    *,
    system: SystemName = DEFAULT,
) -> None:
    """Put two bundles' metrics beside each other, each on its own test split."""
    target = Target.of(context)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        other = other or registry.champion(connection, system)
        both = {
            name: store.evaluation(connection, name, system=system) for name in (version, other)
        }
    if target.as_json:
        say_json(both)
        return
    metrics = [both[name]["metrics"] for name in (version, other)]
    say_table(
        "Metrics",
        ["Metric", f"{version} ", f"{other} ", "Difference "],
        [
            (
                _words(name),
                _number(mine),
                _number(theirs := metrics[1].get(name)),
                "" if theirs is None else f"{mine - theirs:+.4f}",
            )
            for name, mine in metrics[0].items()
            if isinstance(mine, int | float)
        ],
    )


@app.command()
def promote(context: typer.Context, version: Version, *, system: SystemName = DEFAULT) -> None:
    """Make a published bundle the champion."""
    target = Target.of(context)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        previous = registry.promote(connection, version, system=system)
    _say_change(target, previous, version)


@app.command()
def rollback(context: typer.Context, *, system: SystemName = DEFAULT) -> None:
    """Make the previous champion the champion again."""
    target = Target.of(context)
    with Journey([REACH]).shown() as journey, target.reached(journey) as connection:
        left, champion = registry.rollback(connection, system)
    _say_change(target, left, champion)


def _say_change(target: Target, previous: str, champion: str) -> None:
    if target.as_json:
        say_json({"champion": champion, "previous": previous})
    else:
        say(f"Champion: {champion} (before: {previous}).")


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"


def _words(metric: str) -> str:
    return metric.replace("_", " ")
