from __future__ import annotations

import io
import json
import textwrap
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.errors import LocalAwsError
from local_aws.lambdas import unzip

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

CODE = """
import json, os, sys, time
def handler(event, context):
    print("asked with", json.dumps(event))
    if event.get("import"):
        __import__(event["import"])
    if event.get("seconds"):
        time.sleep(event["seconds"])
    if event.get("exit"):
        os._exit(5)
    return {
        "event": event,
        "own": os.environ["OWN"],
        "name": context.function_name,
        "milliseconds": context.get_remaining_time_in_millis(),
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "boto3": __import__("boto3").__name__,
    }
"""


def package(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", textwrap.dedent(code))
    return buffer.getvalue()


class Function:
    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.client = emulator.client("lambda")
        role = emulator.client("iam").create_role(
            RoleName="toy", AssumeRolePolicyDocument="{}", Path="/"
        )["Role"]["Arn"]
        self.client.create_function(
            FunctionName="toy",
            Runtime="python3.12",
            Handler="app.handler",
            Role=role,
            Timeout=20,
            Code={"ZipFile": package(CODE)},
            Environment={"Variables": {"OWN": "1"}},
        )

    def ask(self, **event: Any) -> tuple[dict[str, Any], bool]:
        answer = self.client.invoke(FunctionName="toy", Payload=json.dumps(event))
        return json.load(answer["Payload"]), "FunctionError" in answer


@pytest.fixture
def function(emulator: Any) -> Function:
    return Function(emulator)


def test_a_function_runs_with_its_environment_and_context(function: Function) -> None:
    answer, failed = function.ask(a=1)
    assert not failed
    assert answer["event"] == {"a": 1}
    assert (answer["own"], answer["name"], answer["boto3"]) == ("1", "toy", "boto3")
    assert 0 < answer["milliseconds"] <= 20_000
    assert answer["endpoint"] == function.emulator.url


def test_what_aws_does_not_bring_cannot_be_imported(function: Function) -> None:
    answer, failed = function.ask(**{"import": "numpy"})
    assert failed
    assert answer["errorType"] == "ModuleNotFoundError"


def test_a_function_over_its_time_is_ended(function: Function) -> None:
    function.client.update_function_configuration(FunctionName="toy", Timeout=1)
    answer, failed = function.ask(seconds=30)
    assert failed
    assert answer["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]


def test_a_function_that_ends_itself_says_so(function: Function) -> None:
    answer, failed = function.ask(exit=True)
    assert failed
    assert answer["errorType"] == "Runtime.ExitError"


def test_what_it_prints_is_in_its_log_group(function: Function) -> None:
    function.ask(a=1)
    events = function.emulator.client("logs").filter_log_events(logGroupName="/aws/lambda/toy")
    assert any("asked with" in event["message"] for event in events["events"])


def test_a_package_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../escape.py", "")
    with pytest.raises(LocalAwsError, match="no place"):
        unzip(buffer.getvalue(), tmp_path / "code")


CUSTOM = """
import json, urllib.request
def handler(event, context):
    wanted = event["ResourceProperties"]
    answer = {"Status": wanted.get("Answer", "SUCCESS"), "Reason": "as it was told",
              "PhysicalResourceId": "made", "StackId": event["StackId"],
              "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
              "Data": {"Kind": event["RequestType"]}}
    request = urllib.request.Request(
        event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request).close()
"""


@pytest.fixture
def custom(emulator: Any) -> Any:
    s3 = emulator.bucket()
    s3.put_object(Bucket="plays", Key="code.zip", Body=package(CUSTOM))

    def deploy(**properties: str) -> str:
        role = {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Statement": []}},
        }
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.12",
                "Handler": "app.handler",
                "Timeout": 20,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"S3Bucket": "plays", "S3Key": "code.zip"},
            },
        }
        token = {"Fn::GetAtt": ["Function", "Arn"]}
        resource = {
            "Type": "Custom::Toy",
            "Properties": {"ServiceToken": token, **properties},
        }
        status: str = emulator.deploy(
            {"Role": role, "Function": function, "Toy": resource},
            Outputs={
                "Kind": {"Value": {"Fn::GetAtt": ["Toy", "Kind"]}},
                "Name": {"Value": {"Ref": "Toy"}},
            },
        )
        return status

    return deploy


def outputs(emulator: Any) -> dict[str, str]:
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName="toys")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_a_custom_resource_is_made_changed_and_removed_by_its_function(
    emulator: Any, custom: Any
) -> None:
    assert custom(Size="1") == "CREATE_COMPLETE"
    assert outputs(emulator) == {"Kind": "Create", "Name": "made"}
    assert custom(Size="2") == "UPDATE_COMPLETE"
    assert outputs(emulator)["Kind"] == "Update"
    emulator.client("cloudformation").delete_stack(StackName="toys")
    logs = emulator.runtime.logs / "lambda"
    assert len(list(logs.iterdir())) == 3


def test_a_custom_resource_that_fails_rolls_the_stack_back(emulator: Any, custom: Any) -> None:
    assert custom(Answer="FAILED") == "ROLLBACK_COMPLETE"
    events = emulator.client("cloudformation").describe_stack_events(StackName="toys")
    reasons = [event.get("ResourceStatusReason", "") for event in events["StackEvents"]]
    assert any("as it was told" in reason for reason in reasons)


def test_a_function_of_a_template_has_its_layers_of_other_accounts_too(emulator: Any) -> None:
    layer = (
        "arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python314-x86_64:1"
    )
    emulator.bucket("code").put_object(
        Bucket="code",
        Key="app.zip",
        Body=package("""
            import aws_lambda_powertools
            def handler(event, context):
                return aws_lambda_powertools.__name__
        """),
    )
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}

    def function(timeout: int) -> dict[str, Any]:
        properties = {
            "FunctionName": "layered",
            "Runtime": "python3.14",
            "Handler": "app.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"S3Bucket": "code", "S3Key": "app.zip"},
            "Layers": [layer],
            "Timeout": timeout,
        }
        return {"Role": role, "F": {"Type": "AWS::Lambda::Function", "Properties": properties}}

    assert emulator.deploy(function(20)) == "CREATE_COMPLETE"
    assert emulator.deploy(function(30)) == "UPDATE_COMPLETE"
    client = emulator.client("lambda")
    described = client.get_function_configuration(FunctionName="layered")
    assert [one["Arn"] for one in described["Layers"]] == [layer]
    answer = client.invoke(FunctionName="layered")
    assert json.loads(answer["Payload"].read()) == "aws_lambda_powertools"
