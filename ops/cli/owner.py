"""Commands of who owns an environment: deploy, smoke, cost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from listening.errors import ResourceError
from listening.resources import COST_TAG
from ops import smoke as smoking
from ops.cdk import Cdk, project_root
from ops.cli.console import say, say_json, say_table
from ops.cli.emulator import up
from ops.cli.progress import REACH, Journey
from ops.cli.target import Target
from ops.connection import explained

if TYPE_CHECKING:
    from ops.connection import Connection


def deploy(context: typer.Context) -> None:
    """Deploy the CDK app: to the emulator, or to AWS with --profile and --env."""
    target = Target.of(context)
    if not target.is_aws:
        up(context)
        return
    connection = target.connect()
    names = connection.names
    Cdk(
        project=project_root(),
        environment=connection.environment,
        log=None,
        variables={"AWS_REGION": names.region, "AWS_PROFILE": str(target.profile)},
    )("deploy", "--all", "--profile", str(target.profile))
    if target.as_json:
        say_json({"environment": connection.environment, "account": names.account})
        return
    say(f"Environment {connection.environment} is deployed in account {names.account}.")


def smoke(context: typer.Context) -> None:
    """Try a deployed environment: stacks, rights, quotas, image, each system's small checks."""
    target = Target.of(context)
    found: list[smoking.Check] = []
    with (
        Journey([REACH, *smoking.CHECKS]).shown() as journey,
        target.reached(journey) as connection,
    ):
        for name, check in smoking.checks(connection):
            with journey.step(name):
                found.append(check())
    if target.as_json:
        say_json(found)
    else:
        say_table(
            f"Environment {connection.environment}",
            ["Check", "State", "Found"],
            [(check.name, check.state, check.detail) for check in found],
        )
    if any(check.state == smoking.FAILED for check in found):
        raise typer.Exit(1)


def cost(
    context: typer.Context,
    *,
    days: Annotated[int, typer.Option(help="How many, up to today.", min=1, max=365)] = 30,
) -> None:
    """Show what the environment cost on AWS, by service."""
    target = Target.of(context)
    if not target.is_aws:
        raise ResourceError("the emulator costs nothing; name an AWS profile with --profile")
    connection = target.connect()
    today = datetime.now(UTC).date()
    by_service = _cost_by_service(connection, today - timedelta(days=days), today)
    if target.as_json:
        say_json({"days": days, "usd": by_service})
        return
    say_table(
        f"USD in the last {days} days, environment {connection.environment}",
        ["Service", "USD "],
        [(service, f"{usd:.2f}") for service, usd in by_service.items()]
        + [("Total", f"{sum(by_service.values()):.2f}")],
    )


def _cost_by_service(connection: Connection, start: date, end: date) -> dict[str, float]:
    with explained("asking the Cost Explorer"):
        answer = connection.cost_explorer.get_cost_and_usage(
            TimePeriod={"Start": start.isoformat(), "End": end.isoformat()},
            Granularity="DAILY",
            Metrics=["UnblendedCost"],
            GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
            Filter={"Tags": {"Key": COST_TAG, "Values": [connection.names.prefix]}},
        )
    usd: dict[str, float] = {}
    for day in answer["ResultsByTime"]:
        for group in day["Groups"]:
            amount = float(group["Metrics"]["UnblendedCost"]["Amount"])
            usd[group["Keys"][0]] = usd.get(group["Keys"][0], 0.0) + amount
    return dict(sorted(usd.items(), key=lambda item: -item[1]))
