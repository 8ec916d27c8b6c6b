"""What the settings change in the templates."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.settings import Settings
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/listening:1.2.3"


@pytest.fixture(scope="module")
def custom(synthesise: Callable[..., Any]) -> Any:
    """Synthesise an environment in which everything optional is chosen."""
    return synthesise(
        Settings.model_validate(
            {
                "environment": "custom",
                "region": "eu-west-1",
                "image_uri": IMAGE,
                "alarm_email": "someone@example.org",
                "serving": {"capture_percent": 25, "invocations_per_instance": 1000},
                "api": {"jwt": {"issuer": "https://issuer.example", "audience": ["app"]}},
                "systems": {
                    **{name: {"deploy": False} for name in SYSTEMS if name != "country"},
                    "country": {
                        "schedule": "rate(7 days)",
                        "glue": {"max_retries": 1, "timeout_minutes": 30},
                        "arguments": {
                            "embeddings": {"method": "word2vec", "max_dropped_share": 0.3},
                            "features": {"max_label_shift": 0.1},
                            "drift": {"days": 3, "max_country": 0.3},
                        },
                        "training": {"instance_count": 3},
                        "hyperparameters": {
                            "region": {"learning_rate": 0.05},
                            "country": {"max_rounds": 30},
                            "assemble": {"gate_metrics": "log_loss", "gate_min_listeners": 5},
                        },
                        "drift": {"retrain": True},
                    },
                },
            }
        )
    )


def test_an_existing_image_is_used_and_pulled(custom: Any) -> None:
    assert custom.one("AWS::SageMaker::Model")["PrimaryContainer"]["Image"] == IMAGE
    policies = json.dumps(list(custom.resources("AWS::IAM::Policy").values()))
    assert ":ecr:eu-west-1:210987654321:repository/team/listening" in policies
    assert not any("dockerImages" in f.read_text() and json.loads(f.read_text())["dockerImages"]
                   for f in custom.folder.glob("*.assets.json"))  # fmt: skip


def test_arguments_reach_their_jobs(custom: Any) -> None:
    given = {
        job["Name"].rpartition("-")[2]: {
            name: value
            for name, value in job["DefaultArguments"].items()
            if name.startswith("--max_") or name in ("--method", "--days")
        }
        for job in custom.resources("AWS::Glue::Job").values()
    }
    assert given == {
        "embeddings": {"--method": "word2vec", "--max_dropped_share": "0.3"},
        "features": {"--max_label_shift": "0.1"},
        "scoring": {},
        "drift": {"--days": "3", "--max_country": "0.3"},
    }


def test_otherwise_the_dockerfile_is_built_from_the_base_of_the_settings(dev: Any) -> None:
    assets = [json.loads(f.read_text())["dockerImages"] for f in dev.folder.glob("*.assets.json")]
    images = {hash_: image["source"] for found in assets for hash_, image in found.items()}
    (source,) = images.values()
    assert source["dockerBuildArgs"] == {"BASE_IMAGE": "python:3.11-slim-bookworm"}
    assert source["platform"] == "linux/amd64"
    context = dev.folder / source["directory"]
    names = {path.name for path in context.iterdir()} - {".dockerignore"}
    assert names == {
        "Dockerfile",
        "requirements",
        "infra",
        "listening",
        "inference",
        "sagemaker",
    }


def test_mail_schedule_and_glue(custom: Any) -> None:
    subscription = custom.one("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "someone@example.org")
    rules = {r["Name"]: r for r in custom.resources("AWS::Events::Rule").values()}
    assert rules["listening-custom-country-schedule"]["ScheduleExpression"] == "rate(7 days)"
    for job in custom.resources("AWS::Glue::Job").values():
        assert (job["Timeout"], job["MaxRetries"]) == (30, 1)


@pytest.fixture(scope="module")
def branches(custom: Any) -> list[dict[str, Any]]:
    """Return what is trained side by side: region, countries, flat."""
    machine = custom.one("AWS::StepFunctions::StateMachine", "country-training")
    definition = json.loads(custom.text(machine["DefinitionString"], "country-training"))
    return [branch["States"] for branch in definition["States"]["TrainModels"]["Branches"]]


def test_hosts_share_the_listeners(branches: list[dict[str, Any]]) -> None:
    region, countries, flat = branches
    country = countries["CountryMap"]["ItemProcessor"]["States"]["CountryTrain"]["Parameters"]
    for request, hosts, spread in (
        (region["RegionTrain"]["Parameters"], 3, "ShardedByS3Key"),
        (flat["FlatTrain"]["Parameters"], 3, "ShardedByS3Key"),
        (country, 1, "FullyReplicated"),
    ):
        assert request["ResourceConfig"]["InstanceCount"] == hosts
        sources = [c["DataSource"]["S3DataSource"] for c in request["InputDataConfig"]]
        assert [s["S3DataDistributionType"] for s in sources] == [
            spread,
            "FullyReplicated",
            "FullyReplicated",
        ]


def test_hyperparameters_reach_their_tasks(custom: Any, branches: list[dict[str, Any]]) -> None:
    region, countries, flat = branches
    country = countries["CountryMap"]["ItemProcessor"]["States"]["CountryTrain"]["Parameters"]
    assert region["RegionTrain"]["Parameters"]["HyperParameters"] == {
        "task": "country.region",
        "learning_rate": "0.05",
    }
    assert country["HyperParameters"] == {
        "task": "country.country",
        "max_rounds": "30",
        "item.$": "$.slug",
    }
    assert flat["FlatTrain"]["Parameters"]["HyperParameters"] == {"task": "country.flat"}
    machine = custom.one("AWS::StepFunctions::StateMachine", "country-training")
    definition = custom.text(machine["DefinitionString"], "country-training")
    (assemble,) = json.loads(definition)["States"]["Assemble"]["Branches"]
    assert assemble["States"]["AssembleTrain"]["Parameters"]["HyperParameters"] == {
        "task": "country.assemble",
        "gate_metrics": "log_loss",
        "gate_min_listeners": "5",
    }


def test_a_system_left_out_leaves_nothing(
    synthesise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "further", replace(SYSTEMS["country"], name="further"))
    settings = {"environment": "none", "region": "eu-west-1", "image_uri": IMAGE}
    without = settings | {"systems": {"further": {"deploy": False}}}
    assert "further" in Settings.model_validate(settings).deployed
    assert "further" not in json.dumps(synthesise(Settings.model_validate(without)).templates)


def test_captures(custom: Any, dev: Any) -> None:
    capture = custom.one("AWS::SageMaker::EndpointConfig")["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 25
    assert "DataCaptureConfig" not in dev.one("AWS::SageMaker::EndpointConfig")


def test_callers_with_a_token(custom: Any) -> None:
    routes = custom.resources("AWS::ApiGatewayV2::Route").values()
    assert {route["AuthorizationType"] for route in routes} == {"JWT"}
    assert custom.one("AWS::ApiGatewayV2::Authorizer")["JwtConfiguration"] == {
        "Audience": ["app"],
        "Issuer": "https://issuer.example",
    }


def test_scaling_follows_the_setting(custom: Any) -> None:
    policy = custom.one("AWS::ApplicationAutoScaling::ScalingPolicy")
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 1000
    assert (
        tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
        == "SageMakerVariantInvocationsPerInstance"
    )


def test_the_jobs_get_the_packages_and_no_command_line(local: Any) -> None:
    folders = [
        folder
        for folder in local.folder.iterdir()
        if folder.is_dir() and (folder / "glue_jobs").is_dir()
    ]
    (packages,) = folders
    assert {path.name for path in packages.iterdir()} == {"listening", "glue_jobs"}
    names = {path.name for path in packages.rglob("*")}
    assert {"resources.py", "regions.json", "splits.py"} <= names
    assert not {"ops", "cli", "__pycache__"} & names


def test_no_asset_holds_an_operators_tool(prod: Any) -> None:
    folders = [path for path in prod.folder.iterdir() if path.is_dir()]
    held = {path.name for folder in folders for path in folder.iterdir() if path.is_dir()}
    assert {"listening", "glue_jobs"} <= held
    assert "ops" not in held


def test_drift_is_looked_for_alarms_and_retrains(custom: Any, dev: Any) -> None:
    (drift,) = [
        job
        for job in custom.resources("AWS::Glue::Job").values()
        if job["Name"] == "listening-custom-country-drift"
    ]
    arguments = drift["DefaultArguments"]
    assert arguments["--days"] == "3"
    assert arguments["--max_country"] == "0.3"
    (alarm,) = [
        alarm
        for alarm in custom.resources("AWS::CloudWatch::Alarm").values()
        if alarm["AlarmName"] == "listening-custom-country-drift-breach"
    ]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Listening", "drift_breaches")
    assert alarm["Dimensions"] == [
        {"Name": "environment", "Value": "custom"},
        {"Name": "system", "Value": "country"},
    ]
    (rule,) = [
        rule
        for rule in custom.resources("AWS::Events::Rule").values()
        if rule["Name"] == "listening-custom-country-drifted"
    ]
    assert rule["EventPattern"]["detail"] == {
        "alarmName": [alarm["AlarmName"]],
        "state": {"value": ["ALARM"]},
    }
    (target,) = rule["Targets"]
    assert custom.text(target["Arn"], "country-features").startswith(
        "<country-features.WorkflowStartStateMachine"
    )
    assert not any("drift" in job["Name"] for job in dev.resources("AWS::Glue::Job").values())
