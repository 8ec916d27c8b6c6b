"""SageMaker's multi-model contract, asked of our server and, as the reference, of AWS's.

Multi Model Server runs where ``LISTENING_MMS_PYTHON`` names a Python that has
``multi-model-server==1.1.11`` and the packages of ``requirements/image.txt``. Where it answers
otherwise than SageMaker documents, the documentation decides, and the test says so.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import multi_model_server as mms
from inference.inference import model_fn, transform_fn
from tests.unit.inference.conftest import Server, ready, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.process

OURS, MMS = "listening", "multi-model-server"


@pytest.fixture(
    scope="module",
    params=[OURS, pytest.param(MMS, marks=pytest.mark.skipif(not mms.PYTHON, reason=mms.MISSING))],
)
def container(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    if request.param == OURS:
        with serve() as server:
            yield ready(server)
        return
    port = mms.free_port()
    command = mms.command(tmp_path_factory.mktemp("mms"), port)
    with Server(command, port, **mms.ENVIRONMENT) as server:
        server.wait_for(mms.STARTED)
        yield server


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> bool:
    return request.node.callspec.params["container"] == OURS


@pytest.fixture(autouse=True)
def _nothing_loaded(container: Server) -> Iterator[None]:
    yield
    for model in container("GET", "/models").json()["models"]:
        container.unload(model["modelName"])


def test_ping(container: Server) -> None:
    assert container("GET", "/ping").status == 200


def test_a_model_is_loaded_described_invoked_and_unloaded(
    container: Server, archives: Path, documents: list[dict[str, Any]]
) -> None:
    folder = archives / "bundle"
    assert container("GET", "/models").json() == {"models": []}
    assert container.load("a", folder).status == 200
    entry = {"modelName": "a", "modelUrl": str(folder)}
    assert container("GET", "/models").json() == {"models": [entry]}
    described = container("GET", "/models/a")
    assert described.status == 200
    assert described.json().items() >= entry.items()
    answer = container.invoke("a", documents[0])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.json()["countries"]) == 5
    assert container.unload("a").status == 200
    assert container("GET", "/models").json() == {"models": []}
    assert container.invoke("a", documents[0]).status == 404


def test_what_is_not_loaded_is_not_found(container: Server) -> None:
    for reply in (
        container("GET", "/models/nobody"),
        container.unload("nobody"),
        container.invoke("nobody", {}),
    ):
        assert reply.status == 404
        assert "nobody" in reply.json()["message"]


def test_a_model_is_loaded_once(container: Server, archives: Path) -> None:
    assert container.load("a", archives / "prior").status == 200
    again = container.load("a", archives / "prior")
    assert again.status == 409
    assert "a" in again.json()["message"]


def test_a_path_that_is_not_there_is_not_found(container: Server, tmp_path: Path) -> None:
    reply = container.load("a", tmp_path / "missing")
    assert reply.status == 404
    assert "missing" in reply.json()["message"]
    assert container("GET", "/models").json() == {"models": []}


@pytest.mark.parametrize("url", ["../../etc", "models/a"])
def test_a_relative_path_is_refused(container: Server, ours: bool, url: str) -> None:
    status = container("POST", "/models", {"model_name": "a", "url": url}).status
    assert status == (400 if ours else 404)  # Multi Model Server looks in its model store


def test_an_archive_that_cannot_be_loaded_says_why(
    container: Server, ours: bool, archives: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    (broken / "MAR-INF").mkdir(parents=True)
    (broken / "MAR-INF" / "MANIFEST.json").write_bytes(
        (archives / "prior" / "MAR-INF" / "MANIFEST.json").read_bytes()
    )
    (broken / "manifest.json").write_text("{")
    reply = container.load("a", broken)
    assert reply.status == 500
    if ours:  # Multi Model Server says 'Failed to start workers'
        assert "not readable as JSON" in reply.json()["message"]
    assert container("GET", "/models").json() == {"models": []}


def test_a_name_can_be_loaded_again_after_unloading(
    container: Server, archives: Path, documents: list[dict[str, Any]]
) -> None:
    versions = []
    for kind in ("prior", "bundle"):
        assert container.load("a", archives / kind).status == 200
        versions.append(container.invoke("a", documents[0]).json()["bundle_version"])
        assert container.unload("a").status == 200
    assert versions[0] != versions[1]


def test_the_list_is_paginated(container: Server, ours: bool, archives: Path) -> None:
    names = ["a", "b", "c"]
    for name in names:
        assert container.load(name, archives / "prior").status == 200
    found, token = [], ""
    for _ in names:
        query = f"&next_page_token={token}" if token else ""
        page = container("GET", f"/models?limit=2{query}").json()
        found += [model["modelName"] for model in page["models"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert found == names
    if ours:  # Multi Model Server takes it for the first page
        assert container("GET", "/models?next_page_token=x").status == 400


def test_a_bad_request_reaches_the_caller_with_its_reason(
    container: Server, archives: Path
) -> None:
    container.load("a", archives / "bundle")
    reply = container.invoke("a", {"top_artists": 5})
    assert reply.status == 400
    assert b"top_artists: must be a list" in reply.body


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model_name": 5, "url": "/tmp"}'])
def test_loading_needs_a_name_and_a_path(container: Server, ours: bool, body: bytes) -> None:
    status = container("POST", "/models", body, content_type="application/json").status
    assert status == 400 if ours else status >= 400  # Multi Model Server fails with 500 at some


def test_of_concurrent_loads_of_one_model_one_succeeds(
    container: Server, archives: Path, documents: list[dict[str, Any]]
) -> None:
    together = threading.Barrier(4)

    def load(_: int) -> tuple[int, int]:
        together.wait()
        status = container.load("a", archives / "bundle").status
        return status, container.invoke("a", documents[0]).status

    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(load, range(4)))
    assert [status for status, _ in found] == [200, 409, 409, 409]
    assert found[0][1] == 200


def test_answers_of_both_servers_are_those_of_the_script(
    container: Server, archives: Path, documents: list[dict[str, Any]]
) -> None:
    container.load("a", archives / "bundle")
    body = json.dumps({"listeners": documents}).encode()
    expected, _ = transform_fn(
        model_fn(archives / "bundle"), body, "application/json", "application/json"
    )
    assert container.invoke("a", body, content_type="application/json").body == expected
