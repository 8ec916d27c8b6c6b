from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from listening.errors import RequestError, ResourceError
from ops.country.page import MOST_BYTES, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = Path(__file__).parents[4] / "web"
QUESTION = b'{"top_artists": [{"artist_name": "Sigur R\xc3\xb3s"}]}'
JSON = {"Content-Type": "application/json"}


@dataclass
class Source:
    """An environment that answers as it is told."""

    asked: list[bytes] = field(default_factory=list)
    error: Exception | None = None

    def champion(self) -> str:
        return "abc123"

    def ask(self, question: bytes) -> bytes:
        self.asked.append(question)
        if self.error:
            raise self.error
        return b'{"countries": []}'

    def artist_file(self, version: str, name: str) -> bytes:
        return json.dumps({"of": version, "file": name}).encode()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def address(source: Source) -> Iterator[str]:
    with serving(source, web=WEB, port=0) as running:
        yield urlsplit(running).netloc


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


def call(address: str, method: str, path: str, **request: Any) -> Reply:
    connection = HTTPConnection(address, timeout=20)
    connection.request(method, path, **request)
    response = connection.getresponse()
    reply = Reply(response.status, dict(response.getheaders()), response.read())
    connection.close()
    return reply


@pytest.mark.parametrize(
    ("path", "content_type", "content"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/?from=somewhere", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/page.js", "text/javascript; charset=utf-8", b"import"),
        ("/page.css", "text/css; charset=utf-8", b":root"),
        ("/icon.svg", "image/svg+xml", b"<svg"),
        ("/world.json", "application/json", b"{"),
        ("/country/champion", "application/json", b'{"bundle_version": "abc123"}'),
    ],
)
def test_the_page_is_served(address: str, path: str, content_type: str, content: bytes) -> None:
    reply = call(address, "GET", path)
    assert (reply.status, reply.headers["Content-Type"]) == (200, content_type)
    assert reply.body.startswith(content)
    assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_a_bundles_artists_are_kept_by_the_browser(address: str) -> None:
    reply = call(address, "GET", "/artist_index/abc123/12.json")
    assert json.loads(reply.body) == {"of": "abc123", "file": "12.json"}
    assert "immutable" in reply.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/artist_index/abc123/../evaluation.json",
        "/artist_index/abc123/evaluation.json",
        "/artist_index/../abc123/index.json",
        "/artist_index/a.b/index.json",
        "/artist_index//index.json",
    ],
)
def test_nothing_else_is_served(address: str, path: str) -> None:
    assert call(address, "GET", path).status == 404


def test_a_question_goes_to_the_champion(address: str, source: Source) -> None:
    reply = call(address, "POST", "/country", body=QUESTION, headers=JSON)
    assert (reply.status, reply.body) == (200, b'{"countries": []}')
    assert source.asked == [QUESTION]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("top_artists: must be a list"), 400),
        (RequestError("top_artists: too many", status=413), 413),
        (ResourceError("the endpoint is missing"), 502),
    ],
)
def test_what_goes_wrong_is_told(
    address: str, source: Source, error: Exception, status: int
) -> None:
    source.error = error
    reply = call(address, "POST", "/country", body=QUESTION, headers=JSON)
    assert (reply.status, reply.message) == (status, str(error))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", JSON, 404),
        ("/country", {"Content-Type": "text/plain"}, 415),
        ("/country", JSON | {"Transfer-Encoding": "chunked"}, 411),
        ("/country", JSON | {"Content-Length": "many"}, 411),
        ("/country", JSON | {"Content-Length": "-5"}, 411),
        ("/country", JSON | {"Content-Length": str(MOST_BYTES + 1)}, 413),
        ("/country", JSON | {"Content-Length": "9" * 5000}, 413),
        ("/country", JSON | {"Host": "attacker.example"}, 403),
        ("/country", JSON | {"Origin": "https://attacker.example"}, 403),
        ("/country", JSON | {"Origin": "null"}, 403),
    ],
)
def test_what_is_no_question_of_the_page_is_refused(
    address: str, source: Source, path: str, headers: dict[str, str], status: int
) -> None:
    reply = call(address, "POST", path, headers=headers)
    assert reply.status == status
    assert reply.headers["Connection"] == "close"
    assert not source.asked


def test_another_name_for_this_machine_is_refused(address: str) -> None:
    port = address.rpartition(":")[2]
    for host, status in (
        (f"localhost:{port}", 200),
        (f"127.0.0.1:{port}", 200),
        (f"rebound.example:{port}", 403),
        ("127.0.0.1", 403),
        ("", 403),
    ):
        assert call(address, "GET", "/", headers={"Host": host}).status == status


def test_other_methods_are_not_known(address: str) -> None:
    assert call(address, "DELETE", "/").status == 501


def test_a_caller_that_hangs_up_does_no_harm(address: str) -> None:
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /country HTTP/1.1\r\nHost: " + address.encode() + b"\r\n")
    assert call(address, "GET", "/country/champion").status == 200


def test_it_listens_on_loopback_and_moves_on_from_a_used_port(source: Source) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(serving(source, web=WEB, port=0))
        port = urlsplit(first).port
        assert port is not None
        second = stack.enter_context(serving(source, web=WEB, port=port))
        assert urlsplit(first).hostname == urlsplit(second).hostname == "127.0.0.1"
        assert first != second


def test_a_project_without_the_page_is_named(source: Source, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"has no index\.html"), serving(source, web=tmp_path):
        pass
