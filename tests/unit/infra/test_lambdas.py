"""The Lambdas' handlers, against plain moto."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

LAMBDAS = Path(__file__).parents[3] / "infra" / "lambdas"
EVALUATION = {
    "bundle_version": "0123456789ab",
    "synthetic": True,
    "metrics": {"accuracy": 0.431, "log_loss": 2.2},
    "gate": {"decision": "Rejected", "reasons": ["log loss 2.2 is above the champion's 2.1"]},
}


def load(folder: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"{folder}_handler", LAMBDAS / folder / "handler.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run with moto, credentials and the functions' environment."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DATA_BUCKET": "data",
        "MODELS_BUCKET": "models",
        "ENVIRONMENT": "local",
        "ENDPOINT": "endpoint",
        "SYSTEM": "country",
        "SYSTEMS": "country,sessions",
        "FEATURES_PREFIX": "country/features/",
        "CHAMPION_PARAMETERS": "/listening/local/",
        "POWERTOOLS_TRACE_DISABLED": "1",
        "POWERTOOLS_METRICS_NAMESPACE": "Listening",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="data")
        s3.create_bucket(Bucket="models")
        yield s3


def archive(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def put_output(s3: Any, files: dict[str, bytes]) -> None:
    key = "training/country/run/assemble-1/output/output.tar.gz"
    s3.put_object(Bucket="models", Key=key, Body=archive(files))


# Evaluation


def test_evaluation_publishes_the_report_and_tells_the_decision(
    aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    put_output(aws, {
        "./report.html": b"<html>",
        "./evaluation.json": json.dumps(EVALUATION).encode(),
        "../../escape.json": b"{}",
        "./artist_index/index.json": b'{"artists": []}',
        "notes.txt": b"left behind",
    })  # fmt: skip
    manifest = json.dumps({"rows": {"in": 10, "out": 8}})
    aws.put_object(Bucket="data", Key="country/features/f/manifest.json", Body=manifest)
    answer = load("evaluation").handler(
        {"run": "run", "job": "assemble-1", "features_run": "f"}, None
    )
    assert answer["version"] == "0123456789ab"
    assert answer["decision"] == "Rejected"
    assert answer["description"] == "log loss 2.2 is above the champion's 2.1"
    assert answer["metrics"] == {"accuracy": 0.431, "log_loss": 2.2}
    assert answer["metadata"] == {
        "accuracy": "0.431",
        "log_loss": "2.2",
        "bundle_version": "0123456789ab",
        "synthetic": "true",
    }
    keys = [o["Key"] for o in aws.list_objects_v2(Bucket="models")["Contents"]]
    assert keys == [
        "evaluations/country/0123456789ab.json",
        "reports/country/0123456789ab/artist_index/index.json",
        "reports/country/0123456789ab/escape.json",
        "reports/country/0123456789ab/evaluation.json",
        "reports/country/0123456789ab/report.html",
        "training/country/run/assemble-1/output/output.tar.gz",
    ]
    report = aws.head_object(Bucket="models", Key="reports/country/0123456789ab/report.html")
    assert report["ContentType"] == "text/html; charset=utf-8"
    logged = json.loads(capsys.readouterr().out)
    assert (logged["rows_kept"], logged["rows_dropped"], logged["accuracy"]) == (8.0, 2.0, 0.431)
    (metrics,) = logged["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in metrics["Metrics"]} <= set(logged)
    assert metrics["Dimensions"] == [["environment", "system"]]
    assert (logged["environment"], logged["system"]) == ("local", "country")


@pytest.mark.parametrize(
    "files", [{}, {"evaluation.json": b"{}"}, {"evaluation.json": b"not JSON"}]
)
def test_an_incomplete_evaluation_is_named(aws: Any, files: dict[str, bytes]) -> None:
    put_output(aws, files)
    evaluation = load("evaluation")
    with pytest.raises(evaluation.EvaluationError, match=r"assemble-1/output/output.tar.gz: eval"):
        evaluation.handler({"run": "run", "job": "assemble-1", "features_run": "f"}, None)


# Placed objects


class CloudFormation:
    """What CloudFormation hears from a custom resource."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}

    def urlopen(self, request: Any, timeout: int) -> Any:
        assert (request.method, timeout) == ("PUT", 30)
        self.heard = json.loads(request.data)
        return io.BytesIO()


def ask(request: str, **properties: Any) -> dict[str, Any]:
    return {
        "RequestType": request,
        "ResponseURL": "https://cloudformation.example/answer",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "PriorObjects",
        "ResourceProperties": properties,
    }


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> CloudFormation:
    """Listen to the answers of custom resources."""
    listener = CloudFormation()
    monkeypatch.setattr("urllib.request.urlopen", listener.urlopen)
    return listener


OBJECTS = {"endpoint/country/prior/bundle.tar.gz": {"Bucket": "data", "Key": "hash.gz"}}


def test_objects_are_placed_under_their_names(aws: Any, cloudformation: CloudFormation) -> None:
    aws.put_object(Bucket="data", Key="hash.gz", Body=b"prior")
    load("place_objects").handler(ask("Create", Bucket="models", Objects=OBJECTS), None)
    placed = aws.get_object(Bucket="models", Key="endpoint/country/prior/bundle.tar.gz")
    assert placed["Body"].read() == b"prior"
    assert cloudformation.heard == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "PriorObjects",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "PriorObjects",
    }


def test_a_failure_is_answered_with_its_reason(aws: Any, cloudformation: CloudFormation) -> None:
    load("place_objects").handler(ask("Update", Bucket="models", Objects=OBJECTS), None)
    assert cloudformation.heard["Status"] == "FAILED"
    assert "does not exist" in cloudformation.heard["Reason"]


def test_objects_outlive_the_stack(aws: Any, cloudformation: CloudFormation) -> None:
    load("place_objects").handler(ask("Delete", Bucket="models", Objects=OBJECTS), None)
    assert cloudformation.heard["Status"] == "SUCCESS"


# API


@pytest.fixture
def endpoint(aws: Any) -> Iterator[Stubber]:
    """Answer for the endpoint; botocore holds requests and answers against the service's model."""
    with Stubber(boto3.client("sagemaker-runtime")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answers(endpoint: Stubber, body: bytes) -> None:
    """Expect the question of these tests, and answer it."""
    endpoint.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(body), len(body))},
        {
            "EndpointName": "endpoint",
            "TargetModel": "country/v1/bundle.tar.gz",
            "ContentType": "application/json",
            "Accept": "application/json",
            "Body": QUESTION.encode(),
        },
    )


def fails(endpoint: Stubber, status: int, message: str) -> None:
    """Have the endpoint answer as SageMaker does for a model that answered with this status."""
    endpoint.add_client_error(
        "invoke_endpoint",
        "ModelError",
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": message},
    )


def call(endpoint: Stubber, *, method: str = "POST", path: str = "/country", body: str = "") -> Any:
    boto3.client("ssm").put_parameter(
        Name="/listening/local/country/champion", Value="v1", Type="String", Overwrite=True
    )
    api = load("api")
    api._runtime = lambda: endpoint.client
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": "request-1",
            "stage": "$default",
            "http": {"method": method, "path": path},
        },
        "body": body,
        "isBase64Encoded": False,
    }
    context = SimpleNamespace(
        function_name="api",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:api",
        aws_request_id="aws-1",
    )
    answer = api.handler(event, context)
    return answer["statusCode"], json.loads(answer["body"])


QUESTION = json.dumps({"top_artists": [{"artist_name": "Sigur Rós", "playcount": 9}]})


def test_the_api_asks_the_champion(endpoint: Stubber) -> None:
    answers(endpoint, b'{"countries": [{"code": "IS"}]}')
    assert call(endpoint, body=QUESTION) == (200, {"countries": [{"code": "IS"}]})


def test_the_api_names_the_champion(endpoint: Stubber) -> None:
    answer = call(endpoint, method="GET", path="/country/champion")
    assert answer == (200, {"bundle_version": "v1"})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "the body is not JSON"),
        ("{", "the body is not JSON"),
        ("[]", "the body is not a question: it must be a JSON object"),
        ("x" * (6 * 1024**2 + 1), "the body must be at most 6291456 bytes, got 6291457"),
    ],
)
def test_what_is_not_a_question_is_refused_with_the_reason(
    endpoint: Stubber, body: str, reason: str
) -> None:
    status, answer = call(endpoint, body=body)
    assert status == 400
    assert answer["message"].startswith(reason)


def test_what_the_model_refuses_keeps_status_and_reason(endpoint: Stubber) -> None:
    fails(endpoint, 400, json.dumps({"message": "top_artists[0].playcount is negative"}))
    status, answer = call(endpoint, body=QUESTION)
    assert (status, answer["message"]) == (400, "top_artists[0].playcount is negative")


def test_a_model_that_fails_is_502_with_a_request_id(endpoint: Stubber) -> None:
    fails(endpoint, 500, "worker died")
    status, answer = call(endpoint, body=QUESTION)
    assert (status, answer["message"]) == (502, "the model did not answer; request id request-1")


def test_an_endpoint_that_is_not_there_is_502(endpoint: Stubber) -> None:
    endpoint.add_client_error("invoke_endpoint", "ValidationError", "no endpoint")
    status, _ = call(endpoint, body=QUESTION)
    assert status == 502


def test_a_silent_endpoint_is_given_up_before_the_function_is(aws: Any, dev: Any) -> None:
    config = load("api")._runtime().meta.config
    waits = config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout)
    (function,) = (
        function
        for function in dev.resources("AWS::Lambda::Function").values()
        if function["FunctionName"].endswith("-api")
    )
    assert waits < function["Timeout"] < 30  # seconds that an HTTP API waits for its function


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/champion", "/country/x/champion", "/"])
def test_an_unknown_path_or_system_is_404(endpoint: Stubber, path: str) -> None:
    for method in ("GET", "POST"):
        status, _ = call(endpoint, method=method, path=path, body="{}")
        assert status == 404


def test_the_lambdas_ship_their_handler_only() -> None:
    for folder in sorted(path for path in LAMBDAS.iterdir() if path.is_dir()):
        files = [p.name for p in folder.rglob("*") if "__pycache__" not in p.parts]
        assert files == ["handler.py"]
