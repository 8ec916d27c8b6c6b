"""One serving process: holds models, answers requests, and does what the supervisor says."""

from __future__ import annotations

import asyncio
import functools
import itertools
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from inference.app import Application, LoadedModel
from inference.control import Ask, Do, Done, Taken, Told
from inference.handlers import load_handler
from inference.log import log
from listening.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.control import Channel
    from inference.settings import Settings

KEEP_ALIVE = 75  # seconds
DRAIN = 25  # seconds; SageMaker kills a container 30 seconds after SIGTERM


class _Server(uvicorn.Server):
    """Uvicorn on connections that others accepted; says when it takes them."""

    on_started: Callable[[], None]

    async def take(self, connection: socket.socket) -> None:
        """Answer on a connection."""
        await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state={}
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_started()


class Worker:
    """A worker and its models.

    Parameters
    ----------
    settings
        The server's.
    channel
        To the supervisor, which accepts connections and hands them over.
    """

    def __init__(self, settings: Settings, channel: Channel) -> None:
        self.models: dict[str, LoadedModel] = {}
        self._settings = settings
        self._channel = channel
        self._tasks: asyncio.Queue[Do | None] = asyncio.Queue()
        self._asked: dict[int, asyncio.Future[tuple[int, str]]] = {}
        self._numbers = itertools.count()
        self._taking: set[asyncio.Future[None]] = set()  # else they could be collected half done

    async def load(self, name: str, url: str) -> tuple[int, str]:
        """Have all workers load a model; return an HTTP status and a sentence."""
        return await self._ask(Ask(ask=next(self._numbers), verb="load", name=name, url=url))

    async def unload(self, name: str) -> tuple[int, str]:
        """Have all workers unload a model; return an HTTP status and a sentence."""
        return await self._ask(Ask(ask=next(self._numbers), verb="unload", name=name))

    async def _ask(self, message: Ask) -> tuple[int, str]:
        answer: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._asked[message.ask] = answer
        self._channel.send(message)
        return await answer

    async def run(self) -> None:
        """Work until told to stop (SIGTERM) or the supervisor is gone."""
        loop = asyncio.get_running_loop()
        server: asyncio.Task[None] | None = None
        config = uvicorn.Config(
            Application(self, self._settings),  # type: ignore[arg-type]
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=DRAIN,
        )
        uvicorn_server = self._server = _Server(config)
        loop.add_reader(self._channel.fileno(), self._receive)
        while True:
            task = await self._tasks.get()
            if task is None:
                uvicorn_server.should_exit = True
                break
            if task.verb == "serve":
                uvicorn_server.on_started = functools.partial(
                    self._channel.send, Done(task=task.task)
                )
                server = asyncio.create_task(uvicorn_server.serve(sockets=[]))
                server.add_done_callback(lambda _: self._tasks.put_nowait(None))
            else:
                self._channel.send(await self._do(task))
        if server is not None:
            await server

    def _receive(self) -> None:
        message = self._channel.receive()
        if message is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._tasks.put_nowait(None)
        elif isinstance(message, socket.socket):
            taking = asyncio.ensure_future(self._server.take(message))
            self._taking.add(taking)
            taking.add_done_callback(self._taking.discard)
            self._channel.send(Taken())
        elif isinstance(message, Do):
            self._tasks.put_nowait(message)
        elif isinstance(message, Told):
            answer = self._asked.pop(message.ask)
            if not answer.done():
                answer.set_result((message.status, message.message))

    async def _do(self, task: Do) -> Done:
        if task.verb == "unload":
            # Requests in flight hold on to the model; it is freed with the last of them.
            self.models.pop(task.name, None)
            return Done(task=task.task)
        started = time.perf_counter()
        try:
            handler = await asyncio.to_thread(load_handler, Path(task.url), verify=task.verify)
        except ArchiveError as error:
            return Done(task=task.task, status=500, message=str(error))
        except MemoryError:
            return Done(task=task.task, status=507, message="not enough memory to load the model")
        except Exception as error:  # an archive is not to be trusted either
            return Done(task=task.task, status=500, message=f"loading failed: {error!r}")
        self.models[task.name] = LoadedModel(task.url, handler)
        log(
            "model loaded",
            model=task.name,
            version=handler.archive.version,
            seconds=round(time.perf_counter() - started, 3),
        )
        return Done(task=task.task)
