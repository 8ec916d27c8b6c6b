from __future__ import annotations

import base64
import errno
import io
import json
import re
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.process


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Endpoint:
    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.sagemaker = emulator.client("sagemaker")
        self.runtime = emulator.client("sagemaker-runtime")
        self.s3 = emulator.bucket()

    def model(self, name: str, container: dict[str, Any]) -> None:
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.emulator.role,
            PrimaryContainer={"Image": self.emulator.image, **container},
        )
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def several(self, **environment: str) -> None:
        container = {"Mode": "MultiModel", "ModelDataUrl": "s3://plays/endpoint/"}
        self.model("several", {**container, "Environment": environment})
        self.serve("several")

    def serve(self, name: str) -> str:
        self.sagemaker.create_endpoint(EndpointName="countries", EndpointConfigName=name)
        return self.settled()

    def settled(self) -> str:
        def status() -> str:
            described = self.sagemaker.describe_endpoint(EndpointName="countries")
            return str(described["EndpointStatus"])

        self.emulator.wait(lambda: status() not in {"Creating", "Updating"})
        return status()

    def target(self, name: str, **files: bytes) -> None:
        content = {key.replace("_", "."): value for key, value in files.items()}
        self.s3.put_object(Bucket="plays", Key=f"endpoint/{name}", Body=archive(content))

    def ask(self, body: bytes = b"?", **more: Any) -> bytes:
        answer = self.runtime.invoke_endpoint(EndpointName="countries", Body=body, **more)
        content: bytes = answer["Body"].read()
        return content

    def error(self, body: bytes = b"?", **more: Any) -> dict[str, Any]:
        with pytest.raises(ClientError) as error:
            self.ask(body, **more)
        response: dict[str, Any] = error.value.response  # type: ignore[assignment]
        return response


@pytest.fixture
def endpoint(emulator: Any) -> Endpoint:
    return Endpoint(emulator)


def test_a_target_is_fetched_loaded_and_asked(endpoint: Endpoint) -> None:
    endpoint.several()
    endpoint.target("v1/bundle.tar.gz", model_txt=b"one")
    assert endpoint.ask(b"\x93\xff", TargetModel="v1/bundle.tar.gz") == (
        b"one:v1/bundle.tar.gz:\x93\xff"
    )


def test_a_loaded_target_is_not_fetched_again(endpoint: Endpoint) -> None:
    endpoint.several()
    endpoint.target("v1.tar.gz", model_txt=b"one")
    endpoint.ask(TargetModel="v1.tar.gz")
    endpoint.target("v1.tar.gz", model_txt=b"overwritten")
    assert endpoint.ask(TargetModel="v1.tar.gz").startswith(b"one")


def test_the_target_asked_longest_ago_makes_room(endpoint: Endpoint) -> None:
    endpoint.several()
    for name in ("a", "b", "c"):
        endpoint.target(f"{name}.tar.gz", model_txt=name.encode())
    for name in ("a", "b", "a", "c", "a", "b"):
        assert endpoint.ask(TargetModel=f"{name}.tar.gz").startswith(name.encode())


def test_errors_have_the_names_and_statuses_of_aws(endpoint: Endpoint) -> None:
    endpoint.several()
    endpoint.target("v1.tar.gz", model_txt=b"one")
    endpoint.target("broken.tar.gz", model_txt=b"broken")

    def check(error: dict[str, Any], name: str, status: int) -> dict[str, Any]:
        assert error["Error"]["Code"] == name
        assert error["ResponseMetadata"]["HTTPStatusCode"] == status
        return error

    check(endpoint.error(TargetModel="absent.tar.gz"), "ValidationError", 400)
    check(endpoint.error(), "ValidationError", 400)
    bad = check(endpoint.error(b"bad", TargetModel="v1.tar.gz"), "ModelError", 424)
    assert (bad["OriginalStatusCode"], bad["OriginalMessage"]) == (400, "bad request")
    broken = check(endpoint.error(TargetModel="broken.tar.gz"), "ModelError", 424)
    assert broken["OriginalMessage"] == "cannot load"
    with pytest.raises(ClientError, match="not found"):
        endpoint.runtime.invoke_endpoint(EndpointName="absent", Body=b"")


@pytest.mark.parametrize("name", ["../../escape.txt", "/escape.txt"])
def test_an_archive_cannot_write_outside_its_folder(endpoint: Endpoint, name: str) -> None:
    endpoint.several()
    hostile = archive({"model.txt": b"one", name: b"out"})
    endpoint.s3.put_object(Bucket="plays", Key="endpoint/hostile.tar.gz", Body=hostile)
    state = endpoint.emulator.runtime.settings.state
    assert "no sound model archive" in endpoint.error(TargetModel="hostile.tar.gz")["Message"]
    assert not list(state.rglob("escape.txt"))


@pytest.mark.parametrize(
    "target", ["../outside.tar.gz", "a/../../outside.tar.gz", "/outside.tar.gz", "..", "a\\..\\b"]
)
def test_a_target_cannot_lead_out_of_the_prefix(endpoint: Endpoint, target: str) -> None:
    endpoint.several()
    endpoint.s3.put_object(Bucket="plays", Key="outside.tar.gz", Body=archive({"model.txt": b"x"}))
    error = endpoint.error(TargetModel=target)
    assert error["Error"]["Code"] == "ValidationError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_truncated_archive_is_named(endpoint: Endpoint) -> None:
    endpoint.several()
    body = archive({"model.txt": b"one" * 5000})[:60]
    endpoint.s3.put_object(Bucket="plays", Key="endpoint/cut.tar.gz", Body=body)
    assert "no sound model archive" in endpoint.error(TargetModel="cut.tar.gz")["Message"]
    endpoint.target("cut.tar.gz", model_txt=b"whole")
    assert endpoint.ask(b"x", TargetModel="cut.tar.gz") == b"whole:cut.tar.gz:x"


def test_a_full_disk_is_named_and_leaves_room_for_the_next_try(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    endpoint.several()
    endpoint.target("a.tar.gz", model_txt=b"a")
    endpoint.target("b.tar.gz", model_txt=b"b")
    assert endpoint.ask(b"x", TargetModel="a.tar.gz") == b"a:a.tar.gz:x"
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extract", full)
        message = endpoint.error(TargetModel="b.tar.gz")["Message"]
    assert "no space is left to unpack s3://plays/endpoint/b.tar.gz" in message
    work = endpoint.emulator.runtime.work
    assert len(list(work.glob("endpoints/*/models/*/model"))) == 1
    assert endpoint.ask(b"x", TargetModel="a.tar.gz") == b"a:a.tar.gz:x"
    assert endpoint.ask(b"x", TargetModel="b.tar.gz") == b"b:b.tar.gz:x"


def test_a_single_model_endpoint_takes_no_target(endpoint: Endpoint) -> None:
    endpoint.target("v1.tar.gz", model_txt=b"one")
    endpoint.model("single", {"ModelDataUrl": "s3://plays/endpoint/v1.tar.gz"})
    assert endpoint.serve("single") == "InService"
    assert endpoint.ask(b"x") == b"one:x"
    assert endpoint.error(TargetModel="v1.tar.gz")["Error"]["Code"] == "ValidationError"


def test_a_server_that_does_not_start_fails_the_endpoint_with_its_reason(
    endpoint: Endpoint,
) -> None:
    endpoint.several(BREAK="1")
    assert endpoint.settled() == "Failed"
    described = endpoint.sagemaker.describe_endpoint(EndpointName="countries")
    assert "this server does not start" in described["FailureReason"]


def test_an_update_serves_the_new_model_and_a_failed_one_keeps_the_old(
    endpoint: Endpoint,
) -> None:
    for name in ("one", "two"):
        endpoint.target(f"{name}.tar.gz", model_txt=name.encode())
        endpoint.model(name, {"ModelDataUrl": f"s3://plays/endpoint/{name}.tar.gz"})
    endpoint.model("broken", {"Environment": {"BREAK": "1"}})
    endpoint.serve("one")
    endpoint.sagemaker.update_endpoint(EndpointName="countries", EndpointConfigName="two")
    assert endpoint.settled() == "InService"
    assert endpoint.ask() == b"two:?"
    endpoint.sagemaker.update_endpoint(EndpointName="countries", EndpointConfigName="broken")
    assert endpoint.settled() == "InService"
    assert endpoint.ask() == b"two:?"


def test_a_deleted_endpoint_is_gone_with_its_process(endpoint: Endpoint) -> None:
    endpoint.several()
    (server,) = endpoint.emulator.emulator.endpoints._servers.values()
    endpoint.sagemaker.delete_endpoint(EndpointName="countries")
    assert server._process.poll() is not None
    assert endpoint.error()["Error"]["Code"] == "ValidationError"


def test_names_are_checked_and_used_once(endpoint: Endpoint) -> None:
    endpoint.several()
    with pytest.raises(ClientError, match="already existing endpoint"):
        endpoint.serve("several")
    with pytest.raises(ClientError, match="already existing model"):
        endpoint.model("several", {})
    with pytest.raises(ClientError, match="regular expression"):
        endpoint.sagemaker.create_endpoint(EndpointName="under_score", EndpointConfigName="several")


def test_requests_are_captured_as_sagemaker_writes_them(emulator: Any) -> None:
    endpoint = Endpoint(emulator)
    endpoint.model("kept", {"Mode": "MultiModel", "ModelDataUrl": "s3://plays/endpoint/"})
    config = endpoint.sagemaker.describe_endpoint_config(EndpointConfigName="kept")
    endpoint.sagemaker.create_endpoint_config(
        EndpointConfigName="capturing",
        ProductionVariants=config["ProductionVariants"],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://plays/captures/",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    )
    assert endpoint.serve("capturing") == "InService"
    endpoint.s3.put_object(
        Bucket="plays", Key="endpoint/a.tar.gz", Body=archive({"model.txt": b"a"})
    )
    endpoint.runtime.invoke_endpoint(
        EndpointName="countries",
        TargetModel="a.tar.gz",
        Body=b'{"x": 1}',
        ContentType="application/json",
    )

    def kept() -> list[str]:
        listed = endpoint.s3.list_objects_v2(Bucket="plays", Prefix="captures/countries/AllTraffic")
        return [entry["Key"] for entry in listed.get("Contents", ())]

    emulator.wait(kept)
    (key,) = kept()
    assert re.fullmatch(r"captures/countries/AllTraffic/\d{4}(/\d\d){3}/[\w-]+\.jsonl", key)
    (line,) = endpoint.s3.get_object(Bucket="plays", Key=key)["Body"].read().splitlines()
    record = json.loads(line)
    assert record["captureData"] == {
        "endpointInput": {
            "observedContentType": "application/json",
            "mode": "INPUT",
            "data": '{"x": 1}',
            "encoding": "JSON",
        },
        "endpointOutput": {
            "observedContentType": "text/plain",
            "mode": "OUTPUT",
            "data": base64.b64encode(b'a:a.tar.gz:{"x": 1}').decode(),
            "encoding": "BASE64",
        },
    }
    assert record["eventMetadata"]["inferenceTime"].endswith("Z")
