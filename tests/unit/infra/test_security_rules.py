"""The rules of SageMaker, Glue and S3 best practice that cdk-nag does not know.

Each test names the rule that it proves, by Security Hub's or cdk-nag's id where it has one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = ["local", "dev", "staging", "prod"]


@pytest.fixture(params=ALL)
def anywhere(request: pytest.FixtureRequest, environment: Callable[[str], Any]) -> Any:
    """Every environment in turn."""
    return environment(request.param)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def training_requests(environment: Any) -> list[dict[str, Any]]:
    """Return the parameters of every training job in the state machine."""

    def walk(states: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for state in states.values():
            if str(state.get("Resource", "")).endswith("createTrainingJob.sync"):
                found.append(state["Parameters"])
            for branch in [*state.get("Branches", []), state.get("ItemProcessor", {})]:
                found += walk(branch.get("States", {}))
        return found

    machine = environment.one("AWS::StepFunctions::StateMachine", "country-training")
    definition = environment.text(machine["DefinitionString"], "country-training")
    requests = walk(json.loads(definition)["States"])
    assert len(requests) == definition.count("createTrainingJob.sync") > 0
    return requests


# SageMaker


def test_sagemaker_5_network_isolation(anywhere: Any) -> None:
    assert anywhere.one("AWS::SageMaker::Model")["EnableNetworkIsolation"] is True
    assert all(request["EnableNetworkIsolation"] for request in training_requests(anywhere))


def test_endpoint_config_and_captures_are_encrypted(anywhere: Any) -> None:
    config = anywhere.one("AWS::SageMaker::EndpointConfig")
    assert "Key" in anywhere.text(config["KmsKeyId"], "serving")
    if "DataCaptureConfig" in config:
        assert config["DataCaptureConfig"]["KmsKeyId"] == config["KmsKeyId"]


def test_sagemaker_4_more_than_one_instance_in_production(prod: Any) -> None:
    (variant,) = prod.one("AWS::SageMaker::EndpointConfig")["ProductionVariants"]
    assert variant["InitialInstanceCount"] > 1
    assert prod.one("AWS::ApplicationAutoScaling::ScalableTarget")["MinCapacity"] > 1


def test_production_runs_in_a_vpc(prod: Any) -> None:
    assert len(prod.one("AWS::SageMaker::Model")["VpcConfig"]["Subnets"]) == 2
    assert all(len(r["VpcConfig"]["Subnets"]) == 2 for r in training_requests(prod))
    assert not prod.resources("AWS::EC2::NatGateway")
    assert not prod.resources("AWS::EC2::InternetGateway")
    assert prod.resources("AWS::EC2::FlowLog")


def test_training_encrypts_traffic_volumes_and_output(anywhere: Any) -> None:
    for request in training_requests(anywhere):
        assert request["EnableInterContainerTrafficEncryption"] is True
        assert "Key" in request["ResourceConfig"]["VolumeKmsKeyId"]
        assert "Key" in request["OutputDataConfig"]["KmsKeyId"]


def test_training_stops_in_time(anywhere: Any) -> None:
    for request in training_requests(anywhere):
        stop = request["StoppingCondition"]
        assert stop["MaxRuntimeInSeconds"] > 0


def test_training_takes_its_code_from_the_image(anywhere: Any) -> None:
    for request in training_requests(anywhere):
        assert "AlgorithmName" not in request["AlgorithmSpecification"]
        assert "sagemaker_submit_directory" not in json.dumps(request)


def test_names_of_models_and_configs_are_left_to_cloudformation(anywhere: Any) -> None:
    assert "ModelName" not in anywhere.one("AWS::SageMaker::Model")
    assert "EndpointConfigName" not in anywhere.one("AWS::SageMaker::EndpointConfig")
    name = f"listening-{anywhere.name}-endpoint"
    assert anywhere.one("AWS::SageMaker::Endpoint")["EndpointName"] == name


def test_deployments_roll_back_on_errors_and_latency(anywhere: Any) -> None:
    endpoint = anywhere.one("AWS::SageMaker::Endpoint")
    deployment = endpoint["DeploymentConfig"]
    alarms = anywhere.resources("AWS::CloudWatch::Alarm")
    deciding = [
        alarms[f"serving/{alarm['AlarmName']['Ref']}"]
        for alarm in deployment["AutoRollbackConfiguration"]["Alarms"]
    ]
    assert {alarm["MetricName"] for alarm in deciding} == {"Invocation5XXErrors", "ModelLatency"}
    assert {alarm["TreatMissingData"] for alarm in deciding} == {"notBreaching"}
    assert all(alarm["AlarmActions"] for alarm in deciding)
    assert endpoint["RetainAllVariantProperties"] is True


@pytest.mark.parametrize(
    ("name", "kind"), [("dev", "ALL_AT_ONCE"), ("staging", "ALL_AT_ONCE"), ("prod", "CANARY")]
)
def test_traffic_moves_by_canary_where_the_fleet_can_be_divided(
    environment: Callable[[str], Any], name: str, kind: str
) -> None:
    endpoint = environment(name).one("AWS::SageMaker::Endpoint")
    policy = endpoint["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    routing = policy["TrafficRoutingConfiguration"]
    assert routing["Type"] == kind
    assert ("CanarySize" in routing) == (kind == "CANARY")


def test_the_endpoint_waits_for_the_prior(anywhere: Any) -> None:
    resources = anywhere.templates["serving"]["Resources"]
    (endpoint,) = [r for r in resources.values() if r["Type"] == "AWS::SageMaker::Endpoint"]
    (placed,) = [name for name, r in resources.items() if r["Type"] == "Custom::PlacedObjects"]
    assert placed in endpoint["DependsOn"]


def test_updates_leave_the_champion_alone(environment: Callable[[str], Any]) -> None:
    for name in ALL:
        parameters = environment(name).resources("AWS::SSM::Parameter").values()
        assert list(parameters) == [
            {
                "Name": f"/listening/{name}/{system}/champion",
                "Type": "String",
                "Value": "prior",
                "Description": f"Bundle version that callers of {system} name",
            }
            for system in SYSTEMS
        ]


# Glue


def test_gl1_gl3_glue_encrypts_logs_bookmarks_and_output(anywhere: Any) -> None:
    configurations = anywhere.resources("AWS::Glue::SecurityConfiguration").values()
    assert len(configurations) == len(SYSTEMS)
    for configuration in configurations:
        security = configuration["EncryptionConfiguration"]
        assert security["CloudWatchEncryption"]["CloudWatchEncryptionMode"] == "SSE-KMS"
        assert security["JobBookmarksEncryption"]["JobBookmarksEncryptionMode"] == "CSE-KMS"
        assert [s["S3EncryptionMode"] for s in security["S3Encryptions"]] == ["SSE-KMS"]
    for place, job in anywhere.resources("AWS::Glue::Job").items():
        resources = anywhere.templates[place.split("/")[0]]["Resources"]
        assert job["SecurityConfiguration"]["Ref"] in resources


def test_glue_4_jobs_are_bounded(anywhere: Any) -> None:
    jobs = anywhere.resources("AWS::Glue::Job")
    assert jobs
    for job in jobs.values():
        assert job["GlueVersion"] == "5.1"
        assert job["Timeout"] <= 24 * 60
        assert job["NumberOfWorkers"] >= 2
        assert job["WorkerType"].startswith("G.")
        assert job["MaxRetries"] in (0, 1)
        assert job["ExecutionProperty"]["MaxConcurrentRuns"] == 1


def test_glue_jobs_can_be_watched(anywhere: Any) -> None:
    for job in anywhere.resources("AWS::Glue::Job").values():
        arguments = job["DefaultArguments"]
        for switch in (
            "--enable-auto-scaling",
            "--enable-continuous-cloudwatch-log",
            "--enable-metrics",
            "--enable-observability-metrics",
            "--enable-job-insights",
            "--enable-spark-ui",
        ):
            assert arguments[switch] == "true", switch
        events = anywhere.text(arguments["--spark-event-logs-path"], "country-features")
        assert events.endswith("/spark-ui/")


def test_glue_gets_what_is_declared_and_has_no_index(environment: Callable[[str], Any]) -> None:
    for name in ALL:
        synthesised = environment(name)
        for job in synthesised.resources("AWS::Glue::Job").values():
            arguments = job["DefaultArguments"]
            assert synthesised.text(arguments["--extra-py-files"], "country-features").endswith(
                ".zip"
            )
            if name == "local":
                assert "--additional-python-modules" not in arguments
                continue
            modules = synthesised.text(arguments["--additional-python-modules"], "country-features")
            assert modules.endswith("/packages/ftfy-6.3.1-py3-none-any.whl")
            assert arguments["--python-modules-installer-option"] == "--no-index --no-deps"


def test_triggers_stand_one_after_the_other(anywhere: Any) -> None:
    resources = anywhere.templates["country-features"]["Resources"]
    triggers = {n: r for n, r in resources.items() if r["Type"] == "AWS::Glue::Trigger"}
    kinds = {n: (r["Properties"]["Type"], "WorkflowName" in r["Properties"])
             for n, r in triggers.items()}  # fmt: skip
    assert kinds == {
        "Start": ("EVENT", True),
        "Then": ("CONDITIONAL", True),
        "EmbeddingsAlone": ("ON_DEMAND", False),
        "FeaturesAlone": ("ON_DEMAND", False),
        **({} if anywhere.name == "dev" else {"OnSchedule": ("SCHEDULED", False)}),
    }
    assert "Start" in triggers["Then"]["DependsOn"]
    assert triggers["Then"]["Properties"]["StartOnCreation"] is True


def test_the_workflow_starts_on_the_ready_object_and_the_schedule(prod: Any, dev: Any) -> None:
    def rules(environment: Any) -> dict[str, Any]:
        return {
            rule["Name"].removeprefix(f"listening-{environment.name}-"): rule
            for rule in environment.resources("AWS::Events::Rule").values()
        }

    starting = {f"{s}-{what}-ready" for s in SYSTEMS for what in ("raw", "features")}
    assert set(rules(dev)) == {*starting, "job-failed"}
    assert set(rules(prod)) == {
        *(*starting, "job-failed"),
        *(f"{system}-schedule" for system in ("country", "churn", "charts")),
    }
    pattern = rules(prod)["country-raw-ready"]["EventPattern"]["detail"]
    assert pattern["object"]["key"] == [
        {"wildcard": "raw/*/_READY"},
        {"wildcard": "raw/*/_READY.country"},
    ]
    pattern = rules(prod)["country-features-ready"]["EventPattern"]["detail"]
    assert pattern == {"jobName": ["listening-prod-country-features"], "state": ["SUCCEEDED"]}


# S3


def test_s3_buckets_are_closed(anywhere: Any) -> None:
    buckets = anywhere.resources("AWS::S3::Bucket")
    assert buckets
    for place, bucket in buckets.items():
        # S3.8, S3.12, S3.13, S3.14
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        ownership = bucket["OwnershipControls"]["Rules"]
        assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert "AccessControl" not in bucket
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["LifecycleConfiguration"]["Rules"]
        if "AccessLogs" not in place:
            # S3.9, S3.17
            assert bucket["LoggingConfiguration"]["LogFilePrefix"]
            (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            assert rule["BucketKeyEnabled"] is True
            assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_s3_5_s3_10_buckets_speak_tls_only(anywhere: Any) -> None:
    policies = {
        f"{place.partition('/')[0]}/{policy['Bucket']['Ref']}": policy
        for place, policy in anywhere.resources("AWS::S3::BucketPolicy").items()
    }
    assert policies.keys() == anywhere.resources("AWS::S3::Bucket").keys()
    for policy in policies.values():
        denied = [s["Condition"] for s in policy["PolicyDocument"]["Statement"]
                  if s["Effect"] == "Deny"]  # fmt: skip
        assert {"Bool": {"aws:SecureTransport": "false"}} in denied
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in denied


def test_only_what_is_transient_expires(anywhere: Any) -> None:
    for place, bucket in anywhere.resources("AWS::S3::Bucket").items():
        for rule in bucket["LifecycleConfiguration"]["Rules"]:
            if "ExpirationInDays" in rule and "AccessLogs" not in place:
                assert rule["Prefix"] in ("temporary/", "spark-ui/", "captures/", "checkpoints/")


DATA = {
    "AWS::S3::Bucket",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::SageMaker::ModelPackageGroup",
}


@pytest.mark.parametrize(
    ("name", "flags", "policy"),
    [
        ("dev", {}, "Retain"),
        ("dev", {"allow_data_deletion": "true"}, "Delete"),
        ("staging", {"allow_data_deletion": "true"}, "Retain"),
    ],
)
def test_data_goes_only_when_setting_and_flag_say_so(
    synthesise: Callable[..., Any], name: str, flags: dict[str, str], policy: str
) -> None:
    for template in synthesise(name, **flags).templates.values():
        for resource in template["Resources"].values():
            if resource["Type"] in DATA:
                assert resource["DeletionPolicy"] == policy


def test_arrivals_are_told_to_eventbridge_without_a_function(anywhere: Any) -> None:
    told = {
        place: bucket["NotificationConfiguration"]
        for place, bucket in anywhere.resources("AWS::S3::Bucket").items()
        if "NotificationConfiguration" in bucket
    }
    assert list(told.values()) == [
        {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
    ]
    assert not anywhere.resources("Custom::S3BucketNotifications")


# Keys, logs, notices


def test_kms_4_the_key_rotates_and_admits_each_service_that_writes(anywhere: Any) -> None:
    key = anywhere.one("AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True
    services = {
        service
        for statement in key["KeyPolicy"]["Statement"]
        for service in as_list(statement["Principal"].get("Service", []))
    }
    assert services == {
        f"logs.{anywhere.region}.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "budgets.amazonaws.com",
    }
    for statement in key["KeyPolicy"]["Statement"]:
        assert "Service" not in statement["Principal"] or statement["Condition"]
    for_logs = [
        action
        for statement in key["KeyPolicy"]["Statement"]
        if statement["Principal"].get("Service") == f"logs.{anywhere.region}.amazonaws.com"
        for action in as_list(statement["Action"])
    ]
    # CloudWatch Logs' documentation of encrypted log groups names these.
    assert sorted(for_logs) == [
        f"kms:{action}"
        for action in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey*", "ReEncrypt*")
    ]


def test_log_groups_have_a_key_and_an_end(anywhere: Any) -> None:
    groups = anywhere.resources("AWS::Logs::LogGroup")
    assert groups
    for group in groups.values():
        assert "KmsKeyId" in group
        assert group["RetentionInDays"] in (7, 30, 90, 365)
        # SageMaker's groups belong to the account and region, not to a stack.
        assert not group["LogGroupName"].startswith("/aws/sagemaker/")


def test_every_function_logs_to_a_group_of_the_project(anywhere: Any) -> None:
    for function in anywhere.resources("AWS::Lambda::Function").values():
        assert function["LoggingConfig"]["LogGroup"]["Ref"]
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["Timeout"] <= 300


def test_sf1_sf2_the_state_machine_logs_and_traces(anywhere: Any) -> None:
    machines = anywhere.resources("AWS::StepFunctions::StateMachine")
    assert machines
    for machine in machines.values():
        assert machine["LoggingConfiguration"]["Level"] == "ALL"
        assert machine["TracingConfiguration"]["Enabled"] is True


def test_notices_are_encrypted_and_speak_tls_only(anywhere: Any) -> None:
    assert "KmsMasterKeyId" in anywhere.one("AWS::SNS::Topic")
    statements = anywhere.one("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert all("Condition" in statement for statement in statements)
    assert {"Bool": {"aws:SecureTransport": "false"}} in [s.get("Condition") for s in statements]


def test_every_alarm_reaches_the_topic(anywhere: Any) -> None:
    alarms = anywhere.resources("AWS::CloudWatch::Alarm")
    assert alarms
    for place, alarm in alarms.items():
        (action,) = alarm["AlarmActions"]
        assert anywhere.text(action, place.split("/")[0]).endswith("-notices")


def test_the_budget_tells_at_80_percent(anywhere: Any) -> None:
    budget = anywhere.one("AWS::Budgets::Budget")
    (notice,) = budget["NotificationsWithSubscribers"]
    assert notice["Notification"]["Threshold"] == 80
    assert budget["Budget"]["TimeUnit"] == "MONTHLY"
    assert budget["Budget"]["CostFilters"] == {
        "TagKeyValue": [f"user:project$listening-{anywhere.name}"]
    }


# API


def test_the_api_is_authorised_throttled_and_logged(anywhere: Any) -> None:
    routes = anywhere.resources("AWS::ApiGatewayV2::Route")
    assert {r["RouteKey"] for r in routes.values()} == {"POST /{system}", "GET /{system}/champion"}
    assert {r["AuthorizationType"] for r in routes.values()} == {"AWS_IAM"}
    stage = anywhere.one("AWS::ApiGatewayV2::Stage")
    assert stage["AccessLogSettings"]["DestinationArn"]
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 50


def test_the_dashboard_covers_the_whole_way(prod: Any) -> None:
    body = prod.text(prod.one("AWS::CloudWatch::Dashboard")["DashboardBody"], "monitoring")
    for metric in (
        "elapsedTime",
        "rows_kept",
        "rows_dropped",
        "ExecutionsFailed",
        "accuracy",
        "Invocations",
        "ModelLatency",
        "Invocation4XXErrors",
        "Invocation5XXErrors",
        "LoadedModelCount",
        "ModelCacheHit",
        "CPUUtilization",
        "MemoryUtilization",
    ):
        assert f'{metric}"' in body, metric
    statistics = {m[-1]["stat"] for w in json.loads(body)["widgets"]
                  for m in w["properties"]["metrics"]
                  if isinstance(m[-1], dict) and "stat" in m[-1]}  # fmt: skip
    assert {"p50", "p99"} <= statistics


def test_production_is_protected_from_deletion(prod: Any) -> None:
    manifest = json.loads((prod.folder / "manifest.json").read_text())
    stacks = [a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    assert all(stack["properties"]["terminationProtection"] for stack in stacks)
