"""Whoever gets a notice finds what to do in docs/runbook.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Environment

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_every_alarm_has_a_section_that_says_what_to_do(
    environment: Callable[[str], Environment], name: str
) -> None:
    found = environment(name)
    alarms = {
        found.text(alarm["AlarmName"], place.split("/")[0]).removeprefix(f"listening-{name}-")
        for place, alarm in found.resources("AWS::CloudWatch::Alarm").items()
    }
    assert alarms >= {"country-training-failed", "endpoint-5xx"}
    # What a system's alarm asks for is the same for every system.
    alarms = {re.sub(rf"^({'|'.join(SYSTEMS)})-", "", alarm) for alarm in alarms}
    written = sections()
    assert alarms <= set(written), "docs/runbook.md lacks a section of this name"
    for alarm in alarms:
        assert "**Repair.**" in written[alarm] or "```console" in written[alarm], alarm


def test_notices_that_are_no_alarms_have_a_section_too(prod: Environment) -> None:
    names = {
        str(rule["Name"]).removeprefix("listening-prod-")
        for rule in prod.resources("AWS::Events::Rule").values()
        if "notices" in str(rule["Targets"])
    }
    assert names == {"job-failed"}
    assert {*names, "budget"} <= set(sections())
