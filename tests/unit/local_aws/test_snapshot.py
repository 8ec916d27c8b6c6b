from __future__ import annotations

import json
import urllib.error
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.runtime import Settings

PASS = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}})


def deploy(emulator: Any) -> None:
    """Make what CDK would, each time the emulator is brought up."""
    s3 = emulator.bucket()
    s3.put_bucket_versioning(Bucket="plays", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="plays", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_object(Bucket="plays", Key="job.py", Body=b"print('done')")
    glue = emulator.client("glue")
    command = {"Name": "glueetl", "ScriptLocation": "s3://plays/job.py"}
    glue.create_job(Name="embeddings", Role="r", Command=command)
    glue.create_workflow(Name="features")
    glue.create_trigger(
        Name="start", Type="EVENT", WorkflowName="features", Actions=[{"JobName": "embeddings"}]
    )
    emulator.client("ssm").put_parameter(Name="champion", Type="String", Value="prior")
    emulator.client("sagemaker").create_model_package_group(ModelPackageGroupName="bundles")
    machine = emulator.client("stepfunctions").create_state_machine(
        name="training", definition=PASS, roleArn=emulator.role
    )
    events = emulator.client("events")
    events.put_rule(Name="ready", EventPattern=json.dumps({"source": ["aws.s3"]}))
    target = {"Id": "1", "Arn": machine["stateMachineArn"]}
    events.put_targets(Rule="ready", Targets=[target])


def work(emulator: Any) -> None:
    """Do what a user does."""
    emulator.client("events").disable_rule(Name="ready")
    s3 = emulator.client("s3")
    for body in (b"old", b"new"):
        s3.put_object(Bucket="plays", Key="a/b", Body=body, Metadata={"kind": "x"})
    s3.put_object(Bucket="plays", Key="a", Body=b"a key that is a folder of another")
    s3.put_object(Bucket="plays", Key="gone", Body=b"")
    s3.delete_object(Bucket="plays", Key="gone")
    ssm = emulator.client("ssm")
    for version in ("v1", "v2"):
        ssm.put_parameter(Name="champion", Type="String", Value=version, Overwrite=True)
    glue = emulator.client("glue")
    run = glue.start_workflow_run(Name="features")["RunId"]
    emulator.wait(
        lambda: glue.get_workflow_run(Name="features", RunId=run)["Run"]["Status"] == "COMPLETED"
    )
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:training"
    states = emulator.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=machine, input='{"a":1}')["executionArn"]
    emulator.wait(
        lambda: states.describe_execution(executionArn=execution)["status"] == "SUCCEEDED"
    )
    sagemaker = emulator.client("sagemaker")
    package = sagemaker.create_model_package(
        ModelPackageGroupName="bundles",
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={"accuracy": "0.4"},
    )["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=package, ModelApprovalStatus="Approved", ApprovalDescription="better"
    )
    sagemaker.create_training_job(
        TrainingJobName="region-1",
        RoleArn=emulator.role,
        AlgorithmSpecification={"TrainingImage": emulator.image, "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://plays/training/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        HyperParameters={"fail": "too few listeners"},
    )
    emulator.wait(
        lambda: (
            sagemaker.describe_training_job(TrainingJobName="region-1")["TrainingJobStatus"]
            == "Failed"
        )
    )


def seen(emulator: Any) -> dict[str, Any]:
    """Return what clients see of it."""
    s3, glue = emulator.client("s3"), emulator.client("glue")
    sagemaker, states = emulator.client("sagemaker"), emulator.client("stepfunctions")
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:training"
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="plays")["Contents"]]
    objects = {key: s3.get_object(Bucket="plays", Key=key) for key in keys}
    (workflow,) = glue.get_workflow_runs(Name="features")["Runs"]
    run = glue.get_workflow_run(
        Name="features", RunId=workflow["WorkflowRunId"], IncludeGraph=True
    )["Run"]
    (execution,) = states.list_executions(stateMachineArn=machine)["executions"]
    described = states.describe_execution(executionArn=execution["executionArn"])
    history = states.get_execution_history(executionArn=execution["executionArn"])["events"]
    (summary,) = sagemaker.list_model_packages(ModelPackageGroupName="bundles")[
        "ModelPackageSummaryList"
    ]
    package = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
    job = sagemaker.describe_training_job(TrainingJobName="region-1")
    parameters = emulator.client("ssm").get_parameter_history(Name="champion")["Parameters"]
    logs = emulator.client("logs")
    group = "/aws-glue/jobs/output"
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    lines = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    return {
        "objects": {
            key: (one["Body"].read(), one["Metadata"], one["LastModified"])
            for key, one in objects.items()
        },
        "parameters": [(one["Value"], one["Version"]) for one in parameters],
        "runs": glue.get_job_runs(JobName="embeddings")["JobRuns"],
        "workflow": {k: run[k] for k in ("Status", "WorkflowRunId", "Statistics", "StartedOn")},
        "nodes": [node["Name"] for node in run["Graph"]["Nodes"]],
        "execution": {k: v for k, v in described.items() if k != "ResponseMetadata"},
        "history": [(event["id"], event["type"], event["timestamp"]) for event in history],
        "package": {k: v for k, v in package.items() if k != "ResponseMetadata"},
        "job": {k: v for k, v in job.items() if k != "ResponseMetadata"},
        "log": [event["message"] for event in lines["events"]],
    }


def test_what_clients_see_outlives_the_emulator(
    start: Callable[[Settings], Any], settings: Settings, run_once: Any
) -> None:
    with run_once(settings) as first:
        deploy(first)
        work(first)
        before = seen(first)
    second = start(settings)
    deploy(second)
    counts = second.post("restore")
    assert counts["objects"] == 5
    after = seen(second)
    for part, value in before.items():
        assert after[part] == value


def test_restoring_sends_no_event(
    start: Callable[[Settings], Any], settings: Settings, run_once: Any
) -> None:
    with run_once(settings) as first:
        deploy(first)
        work(first)
    second = start(settings)
    deploy(second)
    second.post("restore")
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:training"
    states = second.client("stepfunctions")
    executions = states.list_executions(stateMachineArn=machine)["executions"]
    assert len(executions) == 1


def test_a_state_that_was_not_restored_is_not_overwritten(
    start: Callable[[Settings], Any], settings: Settings, run_once: Any
) -> None:
    with run_once(settings) as first:
        first.bucket().put_object(Bucket="plays", Key="kept", Body=b"kept")
    with run_once(settings):
        pass  # started and stopped, as after a deployment that failed
    third = start(settings)
    third.post("restore")
    body = third.client("s3").get_object(Bucket="plays", Key="kept")["Body"].read()
    assert body == b"kept"


def test_restoring_nothing_says_so(emulator: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        emulator.post("restore")
    assert error.value.code == 400
    assert "there is no snapshot" in json.load(error.value)["message"]


def test_a_snapshot_of_another_format_is_refused(emulator: Any) -> None:
    emulator.post("snapshot")
    state = emulator.runtime.settings.state / "snapshot" / "state.json"
    document = json.loads(state.read_text())
    state.write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(urllib.error.HTTPError) as error:
        emulator.post("restore")
    assert "has format 99" in json.load(error.value)["message"]
