from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.stepfunctions import plain, unknown_fields


class Machines:
    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.client = emulator.client("stepfunctions")
        self.s3 = emulator.bucket()

    def create(self, name: str = "toy", **states: dict[str, Any]) -> str:
        definition = json.dumps({"StartAt": next(iter(states)), "States": states})
        made = self.client.create_state_machine(
            name=name, definition=definition, roleArn=self.emulator.role
        )
        return str(made["stateMachineArn"])

    def run(self, **states: dict[str, Any]) -> dict[str, Any]:
        arn = self.create(**states)
        execution = self.client.start_execution(stateMachineArn=arn, input='{"a": 1}')
        return self.ended(execution["executionArn"])

    def training_job(self) -> str | None:
        """Return the state of the job of `training_task`, None before there is one."""
        sagemaker = self.emulator.client("sagemaker")
        jobs = sagemaker.list_training_jobs(NameContains="region-1-0")["TrainingJobSummaries"]
        return str(jobs[0]["TrainingJobStatus"]) if jobs else None

    def ended(self, arn: str) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            found: dict[str, Any] = self.client.describe_execution(executionArn=arn)
            return found

        self.emulator.wait(lambda: look()["status"] != "RUNNING")
        return look()


@pytest.fixture
def machines(emulator: Any) -> Machines:
    return Machines(emulator)


def task(resource: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Parameters": parameters,
        **(more or {"End": True}),
    }


def training_task(machines: Machines, **hyperparameters: str) -> dict[str, Any]:
    machines.s3.put_object(Bucket="plays", Key="train/a", Body=b"rows")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://plays/train/"}}
    return task(
        "sagemaker:createTrainingJob.sync",
        {
            "TrainingJobName.$": "States.Format('region-{}-{}', $.a, $$.State.RetryCount)",
            "RoleArn": machines.emulator.role,
            "AlgorithmSpecification": {
                "TrainingImage": machines.emulator.image,
                "TrainingInputMode": "File",
            },
            "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
            "OutputDataConfig": {"S3OutputPath": "s3://plays/training/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "HyperParameters": hyperparameters,
        },
    )


def test_a_training_task_waits_and_returns_the_job(machines: Machines) -> None:
    execution = machines.run(Train=training_task(machines))
    assert execution["status"] == "SUCCEEDED"
    job = json.loads(execution["output"])
    assert job["TrainingJobName"] == "region-1-0"
    assert job["TrainingJobStatus"] == "Completed"


def test_a_failed_training_job_fails_its_task_with_the_job_as_the_cause(
    machines: Machines,
) -> None:
    execution = machines.run(Train=training_task(machines, fail="CapacityError: no instances"))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    assert "CapacityError: no instances" in json.loads(execution["cause"])["FailureReason"]


@pytest.mark.process
def test_a_training_job_stops_when_another_branch_fails(machines: Machines) -> None:
    states = {
        "Soon": {"Type": "Wait", "Seconds": 1, "Next": "Failed"},
        "Failed": {"Type": "Fail", "Error": "Other", "Cause": "another branch"},
    }
    train = {"StartAt": "Train", "States": {"Train": training_task(machines, seconds="60")}}
    branches = [train, {"StartAt": "Soon", "States": states}]
    execution = machines.run(Both={"Type": "Parallel", "Branches": branches, "End": True})
    assert (execution["status"], execution["error"]) == ("FAILED", "Other")
    machines.emulator.wait(lambda: machines.training_job() == "Stopped")


@pytest.mark.process
def test_a_training_job_stops_with_its_execution(machines: Machines) -> None:
    machine = machines.create(Train=training_task(machines, seconds="60"))
    execution = machines.client.start_execution(stateMachineArn=machine, input='{"a": 1}')
    machines.emulator.wait(lambda: machines.training_job() == "InProgress")
    machines.client.stop_execution(executionArn=execution["executionArn"])
    assert machines.ended(execution["executionArn"])["status"] == "ABORTED"
    machines.emulator.wait(lambda: machines.training_job() == "Stopped")


def test_fields_are_in_pascal_case_whatever_the_service_speaks(machines: Machines) -> None:
    ask = task("aws-sdk:sfn:listStateMachines", {"MaxResults": 5})
    answer = json.loads(machines.run(Ask=ask)["output"])
    assert [machine["Name"] for machine in answer["StateMachines"]] == ["toy"]
    with pytest.raises(ClientError, match='"maxResults" is not supported'):
        machines.create("other", Ask=task("aws-sdk:sfn:listStateMachines", {"maxResults": 5}))


def test_a_refused_training_job_has_the_error_name_of_aws(machines: Machines) -> None:
    state = training_task(machines)
    state["Parameters"]["TrainingJobName"] = "under_score"
    del state["Parameters"]["TrainingJobName.$"]
    execution = machines.run(Train=state)
    assert execution["error"] == "SageMaker.AmazonSageMakerException"


def test_a_glue_task_waits_for_the_run(machines: Machines) -> None:
    machines.s3.put_object(Bucket="plays", Key="job.py", Body=b"print('done')")
    machines.emulator.client("glue").create_job(
        Name="embeddings",
        Role="r",
        Command={"Name": "glueetl", "ScriptLocation": "s3://plays/job.py"},
    )
    execution = machines.run(Run=task("glue:startJobRun.sync", {"JobName": "embeddings"}))
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"])["JobRunState"] == "SUCCEEDED"


def test_an_object_is_read_as_text(machines: Machines) -> None:
    machines.s3.put_object(Bucket="plays", Key="manifest.json", Body=b'{"regions": ["nordics"]}')
    read = task(
        "aws-sdk:s3:getObject",
        {"Bucket": "plays", "Key": "manifest.json"},
        ResultSelector={"manifest.$": "States.StringToJson($.Body)"},
        End=True,
    )
    execution = machines.run(Read=read)
    assert json.loads(execution["output"]) == {"manifest": {"regions": ["nordics"]}}


@pytest.mark.parametrize(
    ("resource", "parameters", "error"),
    [
        ("aws-sdk:s3:getObject", {"Bucket": "plays", "Key": "no"}, "S3.NoSuchKeyException"),
        ("aws-sdk:ssm:getParameter", {"Name": "no"}, "Ssm.ParameterNotFoundException"),
        ("aws-sdk:glue:getJob", {"JobName": "no"}, "Glue.EntityNotFoundException"),
    ],
)
def test_errors_of_sdk_tasks_are_named_as_on_aws(
    machines: Machines, resource: str, parameters: dict[str, Any], error: str
) -> None:
    execution = machines.run(Ask=task(resource, parameters))
    assert (execution["status"], execution["error"]) == ("FAILED", error)


def test_a_fail_state_may_repeat_an_error_of_the_service(machines: Machines) -> None:
    broken = {
        "Type": "Pass",
        "Result": {"Error": "States.TaskFailed", "Cause": "the job failed"},
        "Next": "Failed",
    }
    failed = {"Type": "Fail", "ErrorPath": "$.Error", "CausePath": "$.Cause"}
    execution = machines.run(Broken=broken, Failed=failed)
    assert (execution["error"], execution["cause"]) == ("States.TaskFailed", "the job failed")


def test_a_parameter_that_the_api_lacks_is_refused_when_the_machine_is_made(
    machines: Machines,
) -> None:
    state = task(
        "aws-sdk:sagemaker:createModelPackage",
        {"ModelPackageGroupName": "bundles", "ApprovalDescription.$": "$.why"},
    )
    with pytest.raises(ClientError) as error:
        machines.create(Register=state)
    assert error.value.response["Error"]["Code"] == "InvalidDefinition"
    assert '"ApprovalDescription.$" is not supported' in str(error.value)


def test_unknown_parameters_are_found_in_branches_and_maps() -> None:
    bad = {"States": {"Bad": task("sagemaker:createTrainingJob.sync", {"Spot": True})}}
    definition = {
        "States": {
            "Both": {"Type": "Parallel", "Branches": [bad]},
            "Each": {"Type": "Map", "ItemProcessor": bad},
            "Other": task("lambda:invoke", {"Anything": 1}),
        }
    }
    found = unknown_fields(definition)
    assert len(found) == 2
    assert "/States/Both/Branches[0]/States/Bad/Parameters" in found[0]


def test_a_machine_of_a_template_runs_and_has_its_arn(machines: Machines) -> None:
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    properties = {
        "StateMachineName": "made",
        "DefinitionString": definition,
        "RoleArn": machines.emulator.role,
    }
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    arn = {"Arn": {"Value": {"Fn::GetAtt": ["Machine", "Arn"]}}}
    assert machines.emulator.deploy({"Machine": machine}, Outputs=arn) == "CREATE_COMPLETE"
    (made,) = machines.client.list_state_machines()["stateMachines"]
    execution = machines.client.start_execution(stateMachineArn=made["stateMachineArn"])
    assert machines.ended(execution["executionArn"])["status"] == "SUCCEEDED"
    machines.emulator.client("cloudformation").delete_stack(StackName="toys")
    assert machines.client.list_state_machines()["stateMachines"] == []


def test_a_lambda_task_is_invoked_and_the_end_of_an_execution_is_an_event(
    machines: Machines,
) -> None:
    sqs, events = machines.emulator.client("sqs"), machines.emulator.client("events")
    queue = sqs.create_queue(QueueName="ends")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED"]}}
    events.put_rule(Name="failed", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="failed", Targets=[{"Id": "1", "Arn": arn["QueueArn"]}])
    execution = machines.run(Ask=task("lambda:invoke", {"FunctionName": "absent"}))
    assert execution["error"] == "Lambda.ResourceNotFoundException"
    message = machines.emulator.wait(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(message[0]["Body"])["detail"]["executionArn"] == execution["executionArn"]


def test_answers_become_plain_json() -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    answer = {"ResponseMetadata": {}, "When": datetime(2026, 11, 22, tzinfo=UTC), "All": [b"x"]}
    assert plain(answer) == {"When": "2026-11-22T00:00:00+00:00", "All": ["x"]}


def test_an_execution_name_beyond_the_rule_is_refused(machines: Machines) -> None:
    arn = machines.create(Only={"Type": "Pass", "End": True})
    for name in ("two words", "a" * 81):
        with pytest.raises(ClientError) as error:
            machines.client.start_execution(stateMachineArn=arn, name=name)
        assert error.value.response["Error"]["Code"] == "InvalidName"
