"""The supervisor: forks workers, deals connections to them, and keeps what they serve the same.

It imports nothing that starts threads, so that forking is safe, and it does nothing that can block:
one selector over its workers' channels and its own signals.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import uvloop

from inference.app import SINGLE
from inference.control import Ask, Channel, Do, Done, Taken, Told
from inference.log import log
from inference.worker import DRAIN, Worker
from listening.archive import load
from listening.errors import ArchiveError, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.settings import Settings

BACKLOG = 2048  # connections that wait to be accepted
QUICK_DEATH = 5.0  # seconds
MAX_QUICK_DEATHS = 10


@dataclass
class _Process:
    """A worker process as the supervisor sees it.

    Parameters
    ----------
    pid, channel, started
        The process, the socket to it, and when it was forked.
    serving
        Whether it can be given connections.
    untaken
        Connections that it was given and has not taken yet, nor read from.
    """

    pid: int
    channel: Channel
    started: float
    serving: bool = False
    untaken: deque[socket.socket] = field(default_factory=deque)


@dataclass
class _Operation:
    """Loading or unloading a model in all workers.

    Parameters
    ----------
    asked_by
        The worker to be told, and the number of its question; None for the supervisor's own.
    memory
        Bytes that the model takes in all workers together.
    waiting
        The tasks that are not done, and who does each.
    verified
        Whether a first worker has loaded the archive and found it whole.
    queue
        What was asked about the same model meanwhile.
    """

    ask: Ask
    asked_by: _Process | None
    memory: int = 0
    waiting: dict[int, _Process] = field(default_factory=dict)
    verified: bool = False
    failure: tuple[int, str] | None = None
    queue: deque[tuple[_Process, Ask]] = field(default_factory=deque)


class Supervisor:
    """Runs the server until it is told to stop.

    Parameters
    ----------
    settings
        How to serve.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Bound here, but not listening before a worker serves: nobody reaches what cannot answer.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((settings.host, settings.port))
        self._listener.setblocking(False)
        self._waiting: deque[socket.socket] = deque()  # connections that no worker has
        self._turns = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Process] = []
        self._models: dict[str, str] = {}  # name to folder, of what all workers serve
        self._memory: dict[str, int] = {}  # name to bytes, of the same
        self._operations: dict[str, _Operation] = {}
        self._tasks = itertools.count()
        self._serving: set[int] = set()  # tasks that make a worker serve
        self._ready = False
        self._quick_deaths = 0
        self._exit: int | None = None

    def run(self) -> int:
        """Serve; return the exit code.

        SIGTERM and SIGINT drain: workers answer what they have, and then all end.
        """
        wakes, wake = socket.socketpair()
        wakes.setblocking(False)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._selector.register(wake, selectors.EVENT_READ)
        gc.collect()
        gc.freeze()  # so that collecting in a worker does not copy the pages it shares
        for _ in range(self._settings.workers):
            self._fork()
        if not self._settings.multi_model:
            ask = Ask(ask=-1, verb="load", name=SINGLE, url=str(self._settings.model_folder))
            self._start(_Operation(ask, None))
        while self._exit is None:
            for key, _ in self._selector.select():
                if key.fileobj is wake:
                    self._signalled(wake.recv(4096))
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._receive(key.data)
        self._stop(wake)
        return self._exit

    def _accept(self) -> None:
        """Take a caller's connection, for a worker."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the caller has left
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting.append(connection)
        self._deal()

    def _deal(self) -> None:
        """Give connections that wait to workers in turn, first to those that keep up.

        While none can take one, further ones wait in the kernel.
        """
        serving = [worker for worker in self._workers if worker.serving]
        while self._waiting and self._give(self._waiting[0], serving):
            self._waiting.popleft()
        watching = self._listener.fileno() in self._selector.get_map()
        if watching == (not self._waiting and bool(serving)):
            return
        if watching:
            self._selector.unregister(self._listener)
        else:
            self._listener.listen(BACKLOG)
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _give(self, connection: socket.socket, serving: list[_Process]) -> bool:
        turn = next(self._turns) % max(len(serving), 1)
        for worker in sorted(serving[turn:] + serving[:turn], key=lambda w: len(w.untaken)):
            if worker.channel.give(connection):
                worker.untaken.append(connection)
                return True
        return False

    def _signalled(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._exit = 0
        elif signal.SIGCHLD in numbers:
            self._reap()

    def _fork(self) -> None:
        """Start a worker, and have it load what the others serve before it serves."""
        ours, theirs = Channel.pair()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            untaken = [connection for w in self._workers for connection in w.untaken]
            channels = [ours, *(w.channel for w in self._workers)]
            _work(self._settings, theirs, [*channels, self._listener, *self._waiting, *untaken])
        theirs.close()
        worker = _Process(pid, ours, time.monotonic())
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        for name, url in self._models.items():
            ours.send(Do(task=next(self._tasks), verb="load", name=name, url=url))
        for operation in self._operations.values():
            if operation.verified:
                self._do(operation, worker)
        if self._settings.multi_model or self._models:
            self._serve(worker)

    def _serve(self, worker: _Process) -> None:
        task = next(self._tasks)
        self._serving.add(task)
        worker.channel.send(Do(task=task, verb="serve"))

    def _reap(self) -> None:
        """Bury dead workers and start others in their place."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            dead = next(worker for worker in self._workers if worker.pid == pid)
            while dead.channel.fileno() >= 0:
                self._receive(dead)  # what it said before it died, to its end
            self._workers.remove(dead)
            self._deal()
            log("worker died", worker=pid, status=os.waitstatus_to_exitcode(status))
            quick = time.monotonic() - dead.started < QUICK_DEATH
            self._quick_deaths = self._quick_deaths + 1 if quick else 0
            if self._quick_deaths >= MAX_QUICK_DEATHS:
                log("giving up", reason=f"{MAX_QUICK_DEATHS} workers in a row died at once")
                self._exit = 1
                return
            for operation in list(self._operations.values()):
                lost = [task for task, worker in operation.waiting.items() if worker is dead]
                for task in lost:
                    del operation.waiting[task]
                if lost and operation.ask.verb == "load":
                    operation.failure = (500, "a worker died while it loaded the model")
                if lost:
                    self._advance(operation)
            self._fork()

    def _receive(self, worker: _Process) -> None:
        message = worker.channel.receive()
        if isinstance(message, Ask):
            self._asked(worker, message)
        elif isinstance(message, Done):
            self._done(worker, message)
        elif isinstance(message, Taken):
            worker.untaken.popleft().close()
            self._deal()
        elif message is None:
            self._close(worker)  # it is about to die; SIGCHLD says when it has
            self._deal()

    def _close(self, worker: _Process) -> None:
        """Send a worker no more; what it has not taken waits for another."""
        worker.serving = False
        if worker.channel.fileno() >= 0:
            self._selector.unregister(worker.channel)
            worker.channel.close()
        self._waiting.extendleft(reversed(worker.untaken))
        worker.untaken.clear()

    def _asked(self, worker: _Process, ask: Ask) -> None:
        """Start what a caller wants, or say why not."""
        running = self._operations.get(ask.name)
        if running is not None:
            running.queue.append((worker, ask))
            return
        try:
            operation = _Operation(ask, worker, self._granted(ask))
        except RequestError as error:
            worker.channel.send(Told(ask=ask.ask, status=error.status, message=str(error)))
        else:
            self._start(operation)

    def _granted(self, ask: Ask) -> int:
        """Return the bytes that what is asked for will take.

        Raises
        ------
        RequestError
            It cannot be done.
        """
        if ask.verb == "unload":
            if ask.name not in self._models:
                raise RequestError(f"model {ask.name!r} is not loaded", status=404)
            return 0
        if ask.name in self._models:
            raise RequestError(f"model {ask.name!r} is already loaded", status=409)
        if not PurePosixPath(ask.url).is_absolute() or ".." in PurePosixPath(ask.url).parts:
            raise RequestError("url: must be an absolute path without '..'")
        if not Path(ask.url).is_dir():
            raise RequestError(f"url: no such folder {ask.url!r}", status=404)
        try:
            needed = load(Path(ask.url), verify=False).memory.of(self._settings.workers)
        except ArchiveError as error:
            raise RequestError(str(error), status=500) from error
        loading = sum(operation.memory for operation in self._operations.values())
        taken, limit = sum(self._memory.values()) + loading, self._settings.memory_limit
        if taken + needed > limit:
            raise RequestError(
                f"not enough memory: the model takes about {needed} bytes, "
                f"{taken} of {limit} are taken; unload a model",
                status=507,
            )
        return needed

    def _start(self, operation: _Operation) -> None:
        ask = operation.ask
        self._operations[ask.name] = operation
        if ask.verb == "unload":
            del self._models[ask.name], self._memory[ask.name]
            for worker in self._workers:
                self._do(operation, worker)
        else:
            self._do(operation, operation.asked_by or self._workers[0], verify=True)

    def _do(self, operation: _Operation, worker: _Process, *, verify: bool = False) -> None:
        task, ask = next(self._tasks), operation.ask
        operation.waiting[task] = worker
        worker.channel.send(Do(task=task, verb=ask.verb, name=ask.name, url=ask.url, verify=verify))

    def _done(self, worker: _Process, done: Done) -> None:
        for operation in list(self._operations.values()):
            if operation.waiting.pop(done.task, None):
                if done.status != 200:
                    operation.failure = operation.failure or (done.status, done.message)
                self._advance(operation, first=worker)
                return
        if done.status != 200:
            log("worker lacks a model", worker=worker.pid, reason=done.message)
        elif done.task in self._serving:
            worker.serving = True
            self._deal()
            if not self._ready:
                self._ready = True
                log("ready", port=self._listener.getsockname()[1], workers=self._settings.workers)
        self._serving.discard(done.task)

    def _advance(self, operation: _Operation, first: _Process | None = None) -> None:
        """Go on with an operation of which a task has just ended."""
        if operation.waiting:
            return
        if operation.ask.verb == "load" and not (operation.failure or operation.verified):
            operation.verified = True
            for worker in self._workers:
                if worker is not first:
                    self._do(operation, worker)
            if operation.waiting:
                return
        self._finish(operation)

    def _finish(self, operation: _Operation) -> None:
        """Record how an operation ended, tell who asked, and turn to what was asked meanwhile."""
        ask = operation.ask
        del self._operations[ask.name]
        status, message = operation.failure or (200, f"{ask.verb}ed")
        if ask.verb == "load" and status == 200:
            self._models[ask.name], self._memory[ask.name] = ask.url, operation.memory
        elif ask.verb == "load":
            log("model not loaded", model=ask.name, url=ask.url, status=status, reason=message)
            for worker in self._workers:
                worker.channel.send(Do(task=next(self._tasks), verb="unload", name=ask.name))
        if operation.asked_by is not None:
            operation.asked_by.channel.send(Told(ask=ask.ask, status=status, message=message))
        elif status == 200:
            for worker in self._workers:
                self._serve(worker)
        else:
            self._exit = 1
        while operation.queue and ask.name not in self._operations:
            self._asked(*operation.queue.popleft())
        if operation.queue:
            self._operations[ask.name].queue.extend(operation.queue)

    def _stop(self, wake: socket.socket) -> None:
        """Let workers answer what they have, and wait for their end."""
        if self._listener.fileno() in self._selector.get_map():
            self._selector.unregister(self._listener)
        self._listener.close()
        for worker in self._workers:
            self._close(worker)
            os.kill(worker.pid, signal.SIGTERM)
        for connection in self._waiting:
            connection.close()
        deadline = time.monotonic() + DRAIN + 2
        running = {worker.pid for worker in self._workers}
        while running:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            running.discard(pid)
            if not pid and self._selector.select(deadline - time.monotonic()):
                wake.recv(4096)
            elif not pid:
                for late in running:
                    os.kill(late, signal.SIGKILL)
                deadline += DRAIN
        log("stopped", exit_code=self._exit)


def _work(
    settings: Settings, channel: Channel, inherited: Sequence[Channel | socket.socket]
) -> None:
    """Be a worker; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for other in inherited:
            other.close()
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        asyncio.run(_run(settings, channel))
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


async def _run(settings: Settings, channel: Channel) -> None:
    await Worker(settings, channel).run()
