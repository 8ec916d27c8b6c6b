"""What starts the feature workflow: nothing that arrives during a run is dropped."""

from __future__ import annotations

import json
from typing import Any

from infra.settings import GlueSettings, Settings, SystemSettings
from listening.systems import SYSTEMS


def definition(environment: Any) -> dict[str, Any]:
    machine = environment.one("AWS::StepFunctions::StateMachine", "country-features")
    return dict(json.loads(environment.text(machine["DefinitionString"], "country-features")))


def test_every_rule_starts_the_workflow_by_the_machine_that_waits(prod: Any) -> None:
    targets = {
        rule["Name"].removeprefix("listening-prod-country-"): prod.text(
            rule["Targets"][0]["Arn"], "country-features"
        )
        for place, rule in prod.resources("AWS::Events::Rule").items()
        if place.startswith("country-features/")
    }
    assert set(targets) == {"raw-ready", "schedule"}
    assert all(arn.startswith("<country-features.WorkflowStart") for arn in targets.values())


def test_a_batch_without_a_needed_table_starts_nothing(prod: Any) -> None:
    states = definition(prod)["States"]
    begin, named = states["IsABatch"], states["NameBatch"]
    assert begin["Choices"][0]["Variable"] == "$.event.detail.object.key"
    assert begin["Default"] == "StartRun"  # a schedule names no batch
    assert "StringSplit" in named["Parameters"]["batch.$"]
    seen, state = [], named["Next"]
    while state != "StartRun":
        look, choice = states[state], states[states[state]["Next"]]
        seen.append(look["Parameters"]["Prefix.$"].split("'")[1])
        assert look["Resource"].endswith("aws-sdk:s3:listObjectsV2")
        others = choice["Default"]
        while others.startswith("LookFor"):
            others = states[states[others]["Next"]]["Default"]
        assert states[others]["Parameters"]["lacks"] in SYSTEMS["country"].needs
        assert "Next" not in states[others]
        state = choice["Choices"][0]["Next"]
    assert seen == ["raw/{}/users", "raw/{}/plays"]


def test_a_run_under_way_is_waited_for(prod: Any) -> None:
    states = definition(prod)["States"]
    start = states["StartRun"]
    assert start["Resource"].endswith("aws-sdk:glue:startWorkflowRun")
    assert start["Parameters"] == {"Name": "listening-prod-country-workflow"}
    (catch,) = start["Catch"]
    assert catch["ErrorEquals"] == ["Glue.ConcurrentRunsExceededException"]
    assert catch["Next"] == "WaitForRun"
    assert states["WaitForRun"]["Next"] == "ListRunning"
    assert states["ListRunning"]["Next"] == "IsTheLast"
    unlisted, last = states["IsTheLast"]["Choices"]
    assert unlisted["IsPresent"] is False  # the list lags behind: no batch may be lost for that
    assert last["StringEqualsPath"] == "$.execution"
    assert unlisted["Next"] == last["Next"] == "StartRun"
    assert states[states["IsTheLast"]["Default"]]["Type"] == "Succeed"


def test_the_longest_wait_fits_into_the_history(synthesise: Any) -> None:
    country = SystemSettings(glue=GlueSettings(timeout_minutes=2880, max_retries=3))
    chosen = Settings(
        environment="custom", region="eu-central-1", systems={"country": country}, wheels=False
    )
    wait = definition(synthesise(chosen))["States"]["WaitForRun"]["Seconds"]
    longest = 2 * 2880 * 60 * 4  # both jobs, each with three retries
    assert longest / wait * 14 < 25_000
