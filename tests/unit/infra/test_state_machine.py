"""The state machine: who is retried, what is caught, how jobs are named, what is read."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from infra.settings import Settings, SystemSettings, TrainingSettings
from listening.regions import default_regions
from listening.systems import SYSTEMS

ROUNDS = math.ceil(max(task.most for task in SYSTEMS["country"].train) / 4)
"""In which the countries train, four at a time by default."""


@pytest.fixture(scope="module")
def definition(prod: Any) -> dict[str, Any]:
    """Return the state machine of production."""
    machine = prod.one("AWS::StepFunctions::StateMachine", "country-training")
    return dict(json.loads(prod.text(machine["DefinitionString"], "country-training")))


def inner(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the machines inside a Parallel or a Map."""
    processor = state.get("ItemProcessor")
    return [*state.get("Branches", []), *([processor] if processor else [])]


def every_state(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    states = dict(machine["States"])
    for state in machine["States"].values():
        for part in inner(state):
            states |= every_state(part)
    return states


def test_every_task_is_retried_by_name(definition: dict[str, Any]) -> None:
    tasks = {n: s for n, s in every_state(definition).items() if s["Type"] == "Task"}
    assert tasks
    for name, task in tasks.items():
        errors = [error for retry in task["Retry"] for error in retry["ErrorEquals"]]
        assert errors, name
        assert not {"States.ALL", "States.TaskFailed"} & set(errors), name
        for retry in task["Retry"]:
            assert retry["BackoffRate"] > 1


def test_training_waits_for_quota(definition: dict[str, Any]) -> None:
    retries = every_state(definition)["CountryTrain"]["Retry"]
    (quota,) = [
        r for r in retries if r["ErrorEquals"] == ["SageMaker.ResourceLimitExceededException"]
    ]
    assert quota["IntervalSeconds"] * quota["MaxAttempts"] >= 15 * 60  # 15 minutes


@pytest.mark.parametrize(
    ("runtime", "seconds"),
    [
        # twice (rounds of countries and assemble) x three attempts x (running time + waits)
        (240, 2 * (ROUNDS + 1) * 3 * (240 * 60 + 9107)),
        (28 * 24 * 60, 365 * 24 * 3600),
    ],
)
def test_an_execution_outlasts_its_jobs(synthesise: Any, runtime: int, seconds: int) -> None:
    country = SystemSettings(training=TrainingSettings(max_runtime_minutes=runtime))
    chosen = Settings(
        environment="custom", region="eu-central-1", systems={"country": country}, wheels=False
    )
    found = synthesise(chosen)
    machine = found.one("AWS::StepFunctions::StateMachine", "country-training")["DefinitionString"]
    assert json.loads(found.text(machine, "country-training"))["TimeoutSeconds"] == seconds


def test_a_wait_for_the_turn_fits_into_the_history(definition: dict[str, Any]) -> None:
    states = definition["States"]
    assert states["WaitForTurn"]["SecondsPath"] == "$.turn.seconds"
    step = states["Begin"]["Parameters"]["turn"]["seconds"]
    assert states["WaitLonger"]["Parameters"]["seconds.$"] == (
        f"States.MathAdd($.turn.seconds, {step})"
    )
    rounds, waited = 0, 0
    while waited < definition["TimeoutSeconds"]:
        rounds += 1
        waited += rounds * step
    assert rounds * 11 < 25_000  # events of the four states, and of an execution at most


def test_every_failure_reaches_the_notice_with_its_cause(definition: dict[str, Any]) -> None:
    states = definition["States"]
    for name, state in states.items():
        if state["Type"] in ("Task", "Parallel", "Map") and name != "NotifyFailure":
            (catch,) = state["Catch"]
            assert catch == {
                "ErrorEquals": ["States.ALL"],
                "ResultPath": "$.error",
                "Next": "NotifyFailure",
            }
    assert "$.error.Cause" in states["NotifyFailure"]["Parameters"]["Message.$"]
    assert states["NotifyFailure"]["Next"] == "Failed"
    assert states["NotifyFailure"]["Catch"][0]["Next"] == "Failed"
    assert states["Failed"] == {
        "Type": "Fail",
        "Error": "TrainingFailed",
        "CausePath": "$.error.Cause",
    }


@pytest.mark.parametrize("task", ["Region", "Country", "Flat", "Assemble"])
def test_a_failed_job_runs_again_only_when_aws_was_at_fault(
    definition: dict[str, Any], task: str
) -> None:
    states = every_state(definition)
    (catch,) = states[f"{task}Train"]["Catch"]
    assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], f"{task}HasRun")
    described = states[f"{task}HasRun"]
    assert described["Choices"][0] == {
        "Variable": "$.error.Cause",
        "StringMatches": "{*",
        "Next": f"{task}ReadFailure",
    }
    assert described["Default"] == f"{task}Refused"
    judge = json.dumps(states[f"{task}JudgeFailure"])
    assert re.findall(r'"StringMatches": "(.*?)"', judge) == [
        "*CapacityError*",
        "*InternalServerError*",
    ]
    assert '"NumericLessThan": 3' in judge
    assert states[f"{task}Wait"]["Next"] == f"{task}NextAttempt"
    assert states[f"{task}NextAttempt"]["Next"] == f"{task}Train"
    assert "FailureReason" in states[f"{task}Failed"]["CausePath"]


def test_job_names_are_short_and_differ_by_execution_and_attempt(
    definition: dict[str, Any],
) -> None:
    name = every_state(definition)["CountryTrain"]["Parameters"]["TrainingJobName.$"]
    assert name == (
        "States.Format('{}-{}-{}-{}', $.job.slug, $.run, $.job.attempt, $$.State.RetryCount)"
    )
    assert "MD5" in definition["States"]["Begin"]["Parameters"]["run.$"]
    # An execution that a rule starts is named <uuid>_<uuid>: 73 characters that a job's name,
    # of 63 at most, could not hold.
    run = "0" * 32
    for slug in ["region", "flat", "assemble", *(r.slug for r in default_regions().regions)]:
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", f"{slug}-{run}-3-99")


def test_countries_train_side_by_side_within_a_bound(prod: Any, definition: dict[str, Any]) -> None:
    countries = every_state(definition)["CountryMap"]
    assert countries["MaxConcurrency"] == 8
    assert countries["ItemsPath"] == "$.items.country"


CHANNELS = {
    "Region": {
        "train": "country/features/{}/listeners/split=train/",
        "validation": "country/features/{}/listeners/split=validation/",
        "features": "country/features/{}/manifest.json",
    },
    "Country": {
        "train": "country/features/{}/listeners/split=train/region={}/",
        "validation": "country/features/{}/listeners/split=validation/region={}/",
        "features": "country/features/{}/manifest.json",
    },
    "Assemble": {
        "features": "country/features/{}/manifest.json",
        "artists": "country/features/{}/artists/",
        "train": "country/features/{}/listeners/split=train/",
        "validation": "country/features/{}/listeners/split=validation/",
        "test": "country/features/{}/listeners/split=test/",
        "plays": "country/features/{}/plays/split=test/",
        "models": "training/country/{}/",
        "champion": "endpoint/country/{}/bundle.tar.gz",
    },
}
CHANNELS["Flat"] = CHANNELS["Region"]


@pytest.mark.parametrize("task", sorted(CHANNELS))
def test_a_job_reads_its_own_prefixes(definition: dict[str, Any], task: str) -> None:
    request = every_state(definition)[f"{task}Train"]["Parameters"]
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri.$"]
        for channel in request["InputDataConfig"]
    }
    keys = {name: uri.split("/", 3)[3].split("'")[0] for name, uri in channels.items()}
    assert keys == CHANNELS[task]
    assert request["HyperParameters"]["task"] == f"country.{task.lower()}"


def test_a_bundle_is_registered_before_anything_is_published(definition: dict[str, Any]) -> None:
    states = definition["States"]
    order, state = [], definition["StartAt"]
    while state:
        order.append(state)
        choices = states[state].get("Choices")
        state = choices[0]["Next"] if choices else states[state].get("Next")
    assert order == [
        "Begin",
        "WaitForTurn",
        "ListRunning",
        "IsItsTurn",
        "ReadFeatures",
        "KeepItems",
        "ReadChampion",
        "FindChampion",
        "IsChampionThere",
        "TrainModels",
        "Assemble",
        "ReadEvaluation",
        "RegisterBundle",
        "RecordDecision",
        "Decide",
        "Publish",
        "ReadChampionAgain",
        "IsChampionStill",
        "PromoteChampion",
        "Published",
    ]
    assert states["Decide"]["Default"] == "Refused"
    register = states["RegisterBundle"]["Parameters"]
    assert register["ModelApprovalStatus"] == "PendingManualApproval"
    assert register["ClientToken.$"] == "$.run"
    decision = states["RecordDecision"]["Parameters"]
    assert decision["ModelApprovalStatus.$"] == "$.evaluation.decision"
    assert decision["ApprovalDescription.$"] == "$.evaluation.description"
    assert decision["CustomerMetadataProperties.$"] == "$.evaluation.metadata"


def test_the_bundle_is_copied_after_the_models(definition: dict[str, Any]) -> None:
    (branch,) = definition["States"]["Publish"]["Branches"]
    assert branch["StartAt"] == "PublishModels"
    assert branch["States"]["PublishModels"]["Next"] == "PublishBundle"
    bundle = branch["States"]["PublishBundle"]["Parameters"]
    assert bundle["Key.$"] == (
        "States.Format('endpoint/country/{}/bundle.tar.gz', $.evaluation.version)"
    )


def test_what_an_execution_answers(definition: dict[str, Any]) -> None:
    for name, published in (("Published", True), ("Refused", False)):
        answer = definition["States"][name]["Parameters"]
        assert answer["published"] is published
        assert {"bundle_version.$", "decision.$", "reasons.$", "metrics.$"} <= set(answer)


@pytest.mark.parametrize("optional", [(), ("lstm",), ("gru", "lstm")])
def test_optional_tasks_are_trained_where_the_settings_name_them(
    synthesise: Any, optional: tuple[str, ...]
) -> None:
    given = {task: {"hidden": 8} for task in optional}
    own = SystemSettings(optional_tasks=optional, hyperparameters=given)
    found = synthesise(
        Settings(
            environment="custom", region="eu-central-1", systems={"sessions": own}, wheels=False
        )
    )
    machine = found.one("AWS::StepFunctions::StateMachine", "sessions-training")
    states = every_state(json.loads(found.text(machine["DefinitionString"], "sessions-training")))
    assert len(states["TrainModels"]["Branches"]) == 2 + len(optional)
    trained = {
        name: state["Parameters"]
        for name, state in states.items()
        if name.endswith("Train") and name != "AssembleTrain"
    }
    names = ("Start", "Remaining", *(task.capitalize() for task in optional))
    assert set(trained) == {f"{name}Train" for name in names}
    for task in optional:
        request = trained[f"{task.capitalize()}Train"]
        assert request["HyperParameters"] == {"task": f"sessions.{task}", "hidden": "8"}
        channels = {channel["ChannelName"] for channel in request["InputDataConfig"]}
        assert channels == {"features", "train", "validation"}
        (metric,) = request["AlgorithmSpecification"]["MetricDefinitions"]
        assert metric["Name"] == "validation:pinball"
    assets = [json.loads(f.read_text())["dockerImages"] for f in found.folder.glob("*.assets.json")]
    (source,) = {h: image["source"] for one in assets for h, image in one.items()}.values()
    assert source["dockerBuildArgs"].get("RECURRENT") == ("true" if optional else None)
