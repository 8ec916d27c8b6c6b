from __future__ import annotations

import io
import json
from typing import Any

import boto3
import botocore.exceptions
import moto
import pytest

from listening.errors import RequestError, ResourceError
from ops import endpoint as endpoint_module
from ops.connection import Connection
from ops.country import client as client_module
from ops.country.client import Artist, CountryClient, Listener

BJORK = Listener([Artist("Björk", 12, "mbid"), Artist("Air")], total_scrobbles=99, user_id="u")


class Endpoint:
    """Stands for the SageMaker runtime: answers, or raises what it was given, in order."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[dict[str, Any]] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request | {"Body": json.loads(request["Body"])})
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        listeners = self.requests[-1]["Body"]["listeners"]
        answers = outcome or {"answers": [answer() for _ in listeners]}
        return {"Body": io.BytesIO(json.dumps(answers).encode())}


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "countries": [{"country": "IS", "name": "Iceland", "probability": 0.75}],
        "regions": [{"region": "nordics", "name": "Nordics", "probability": 0.875}],
        "known_artists": 2,
        "unknown_artists": 0,
        "prior": False,
        "bundle_version": "abc",
    } | changes


def error(code: str, message: str = "why", **more: Any) -> botocore.exceptions.ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}} | more
    return botocore.exceptions.ClientError(response, "InvokeEndpoint")


def client_of(endpoint: Endpoint) -> CountryClient:
    session = boto3.Session(
        aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-central-1"
    )
    connection = Connection(session, "dev")
    connection.__dict__["sagemaker_runtime"] = endpoint
    return CountryClient(connection)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(endpoint_module.time, "sleep", lambda _: None)
    with moto.mock_aws():
        ssm = boto3.client("ssm", region_name="eu-central-1")
        ssm.put_parameter(Name="/listening/dev/country/champion", Value="abc", Type="String")
        yield ssm


def test_the_champion_is_asked_and_the_answer_is_typed() -> None:
    endpoint = Endpoint()
    (answered,) = client_of(endpoint).ask([BJORK], k=3, explain=True)
    (request,) = endpoint.requests
    assert request["TargetModel"] == "country/abc/bundle.tar.gz"
    assert request["EndpointName"] == "listening-dev-endpoint"
    assert request["Body"] == {
        "k": 3,
        "explain": True,
        "listeners": [
            {
                "top_artists": [
                    {"artist_name": "Björk", "playcount": 12, "mbid": "mbid"},
                    {"artist_name": "Air"},
                ],
                "total_scrobbles": 99,
                "user_id": "u",
            }
        ],
    }
    assert answered.countries[0].code == "IS"
    assert answered.regions[0].probability == 0.875
    assert not answered.is_prior


def test_another_version_can_be_named() -> None:
    endpoint = Endpoint()
    client_of(endpoint).ask([BJORK], version="old")
    assert endpoint.requests[0]["TargetModel"] == "country/old/bundle.tar.gz"


def test_many_listeners_are_divided_and_stay_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_LISTENERS", 2)
    parts = [[answer(known_artists=i) for i in part] for part in ([0, 1], [2, 3], [4])]
    endpoint = Endpoint(*({"answers": part} for part in parts))
    answers = client_of(endpoint).ask([BJORK] * 5)
    assert [a.known_artists for a in answers] == [0, 1, 2, 3, 4]


def test_a_request_stays_below_the_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MOST_BYTES", 200)
    endpoint = Endpoint()
    assert len(client_of(endpoint).ask([BJORK] * 4)) == 4
    assert len(endpoint.requests) == 4


@pytest.mark.parametrize(
    "passing",
    [error("ThrottlingException"), error("ModelError", OriginalStatusCode=503)],
)
def test_a_passing_failure_is_tried_again(passing: Exception) -> None:
    endpoint = Endpoint(passing, passing)
    assert client_of(endpoint).ask([BJORK])[0].bundle_version == "abc"
    assert len(endpoint.requests) == 3


def test_it_gives_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "RETRY_SECONDS", 0)
    with pytest.raises(ResourceError, match="ThrottlingException"):
        client_of(Endpoint(error("ThrottlingException"))).ask([BJORK])


@pytest.mark.parametrize(
    "body",
    ["k: must be a number", '{"code":400,"type":"Bad Request","message":"k: must be a number"}'],
)
def test_a_refused_request_names_the_field(body: str) -> None:
    refused = error("ModelError", OriginalStatusCode=400, OriginalMessage=body)
    with pytest.raises(RequestError, match="^k: must be a number$") as caught:
        client_of(Endpoint(refused)).ask([BJORK])
    assert caught.value.status == 400


def test_a_failing_model_names_endpoint_and_target() -> None:
    failing = error("ModelError", OriginalStatusCode=500, OriginalMessage="boom")
    with pytest.raises(
        ResourceError, match=r"listening-dev-endpoint failed on country/abc/bundle.* 500: boom"
    ):
        client_of(Endpoint(failing)).ask([BJORK])


def test_a_missing_endpoint_says_what_to_do() -> None:
    missing = error("ValidationError", "Endpoint of account not found")
    with pytest.raises(ResourceError, match=r"not found; `listening status`"):
        client_of(Endpoint(missing)).ask([BJORK])


def test_a_champion_whose_archive_is_gone_says_which_there_are() -> None:
    gone = error("ValidationError", "Failed to download model data from s3://b/endpoint/abc/x")
    with pytest.raises(
        ResourceError, match=r"country/abc/bundle.*models list` shows which bundles are"
    ):
        client_of(Endpoint(gone)).ask([BJORK])


def test_a_missing_champion_says_what_to_do(aws: Any) -> None:
    aws.delete_parameter(Name="/listening/dev/country/champion")
    with pytest.raises(ResourceError, match=r"ParameterNotFound.*is this environment deployed"):
        client_of(Endpoint()).ask([BJORK])


def test_an_answer_of_another_form_is_an_error() -> None:
    with pytest.raises(ResourceError, match="not one that this client reads"):
        client_of(Endpoint({"answers": [{"countries": 3}]})).ask([BJORK])


def test_too_few_answers_are_an_error() -> None:
    with pytest.raises(ResourceError, match="answered 1 of 2"):
        client_of(Endpoint({"answers": [answer()]})).ask([BJORK, BJORK])
