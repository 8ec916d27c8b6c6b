"""The page to ask in, served on this machine in front of an environment's endpoint.

It answers as the API does (``GET /country/champion``, ``POST /country``), and to the files of
``web/`` and ``/artist_index/<version>/<file>``.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import listening.country
from listening.country import artist_index
from listening.errors import RequestError, ResourceError
from listening.resources import ASK_ROUTE, CHAMPION_ROUTE, PRIOR_VERSION, REPORTS, target_model
from listening.systems import COUNTRY
from ops import endpoint, registry, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.connection import Connection

ASK, CHAMPION = (route.replace("<system>", COUNTRY.name) for route in (ASK_ROUTE, CHAMPION_ROUTE))
ADDRESS = "127.0.0.1"
PORT = 8765
"""Where the page is served while nothing else uses the port; else on a free one."""
MOST_BYTES = 1024**2  # of a question; 1,000 artists need a tenth
IDLE_SECONDS = 30  # after which a connection that says nothing is closed

INDEX = "index.html"
WORLD = Path(listening.country.__file__).with_name("world.json")
"""The countries' shapes, which the report draws too."""
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
FRESH = "no-store"
UNCHANGING = "private, max-age=86400, immutable"
"""``Cache-Control`` of a bundle version's files, which no later bundle overwrites."""


class Source(Protocol):
    """Who answers what the page asks."""

    def champion(self) -> str:
        """Return the champion's bundle version."""
        ...

    def ask(self, question: bytes) -> bytes:
        """Return the champion's answer, JSON for JSON."""
        ...

    def artist_file(self, version: str, name: str) -> bytes:
        """Return a file of a bundle's artist index."""
        ...


class EnvironmentSource:
    """An environment's endpoint and buckets.

    Parameters
    ----------
    connection
        The environment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def champion(self) -> str:
        """Return the champion's bundle version."""
        return registry.champion(self._connection, COUNTRY.name)

    def ask(self, question: bytes) -> bytes:
        """Return the champion's answer.

        Raises
        ------
        RequestError
            The endpoint refused the question; names the field.
        ResourceError
            The endpoint is missing or failing.
        """
        target = target_model(COUNTRY.name, self.champion())
        return endpoint.invoke(self._connection, question, target=target)

    def artist_file(self, version: str, name: str) -> bytes:
        """Return a file of a bundle's artist index.

        Raises
        ------
        RequestError
            404: there was no training yet.
        ResourceError
            The bundle has no such file.
        """
        if version == PRIOR_VERSION:
            raise RequestError("no bundle was trained yet, so no artist is known", status=404)
        key = f"{REPORTS}{COUNTRY.name}/{version}/{artist_index.FOLDER}/{name}"
        return store.read_object(self._connection, self._connection.names.models_bucket, key)


@contextmanager
def serving(source: Source, *, web: Path, port: int = PORT) -> Iterator[str]:
    """Serve the page for a block, and give its address.

    Parameters
    ----------
    source
        Who answers.
    web
        Folder of the page's files.
    port
        Preferred port; 0 for any.

    Raises
    ------
    ResourceError
        The folder has no page.
    """
    files = _served(web)
    try:
        server = PageServer((ADDRESS, port), source, files)
    except OSError:
        server = PageServer((ADDRESS, 0), source, files)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name="page")
    thread.start()
    try:
        yield f"http://{ADDRESS}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _served(web: Path) -> dict[str, _Reply]:
    """Return the page's files by path.

    Raises
    ------
    ResourceError
        The folder has no page.
    """
    if not (web / INDEX).is_file():
        raise ResourceError(f"{web} has no {INDEX}: the page needs a clone of the project")
    files = {
        f"/{file.name}": _Reply(file.read_bytes(), CONTENT_TYPES[file.suffix])
        for file in (*web.iterdir(), WORLD)
        if file.suffix in CONTENT_TYPES
    }
    return files | {"/": files[f"/{INDEX}"]}


@dataclass(frozen=True)
class _Reply:
    """A response that went well."""

    content: bytes
    content_type: str = CONTENT_TYPES[".json"]
    cache: str = FRESH


class PageServer(ThreadingHTTPServer):
    """Serves the page's files and what it asks for.

    Parameters
    ----------
    address
        Host and port.
    source
        Who answers.
    files
        The page's files by path.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], source: Source, files: dict[str, _Reply]) -> None:
        super().__init__(address, _Handler)
        self.source = source
        self.files = files
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "listening"
    sys_version = ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_POST(self) -> None:
        self._answer(self._ask)

    def _answer(self, reply: Callable[[], _Reply]) -> None:
        try:
            self._send(*self._outcome(reply))
        except (ConnectionError, TimeoutError):  # the caller hung up
            self.close_connection = True

    def _outcome(self, reply: Callable[[], _Reply]) -> tuple[int, _Reply]:
        try:
            self._refuse_strangers()
            return HTTPStatus.OK, reply()
        except RequestError as error:
            return self._refusal(error.status, error)
        except ResourceError as error:
            return self._refusal(HTTPStatus.BAD_GATEWAY, error)

    def _refuse_strangers(self) -> None:
        """Answer to this machine's own page alone.

        A name that someone else resolves to this machine has another Host, a page of another site
        another Origin.
        """
        host = self.headers.get("Host", "")
        if host not in self.server.hosts:
            raise RequestError(f"Host {host!r} is not this page's", status=403)
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            raise RequestError(f"Origin {origin!r} is not this page's", status=403)

    def _read(self) -> _Reply:
        path = self.path.partition("?")[0]
        if path in self.server.files:
            return self.server.files[path]
        if path == CHAMPION:
            document = {"bundle_version": self.server.source.champion()}
            return _Reply(json.dumps(document).encode())
        match path.split("/"):
            case ["", artist_index.FOLDER, version, name] if (
                version.isascii() and version.isalnum() and artist_index.FILE_NAME.fullmatch(name)
            ):
                content = self.server.source.artist_file(version, name)
                return _Reply(content, cache=UNCHANGING)
        raise RequestError(f"there is nothing at {path[:200]}", status=404)

    def _ask(self) -> _Reply:
        if self.path != ASK:
            raise RequestError(f"questions go to {ASK}", status=404)
        if self.headers.get_content_type() != "application/json":
            raise RequestError("a question is application/json", status=415)
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise RequestError("a question says its Content-Length", status=411)
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise RequestError(f"a question has at most {MOST_BYTES} bytes", status=413)
        return _Reply(self.server.source.ask(self.rfile.read(int(length))))

    def _refusal(self, status: int, error: Exception) -> tuple[int, _Reply]:
        self.close_connection = True  # the request's body may still be unread
        document = {"message": str(error)}
        return status, _Reply(json.dumps(document, ensure_ascii=False).encode())

    def _send(self, status: int, reply: _Reply) -> None:
        self.send_response(status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.content)))
        self.send_header("Cache-Control", reply.cache)
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing: the page tells its user what goes wrong."""
