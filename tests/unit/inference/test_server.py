"""What the contract does not say: many workers as one, memory, faults, draining, single model."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from listening.archive import ArchiveWriter, load
from tests.unit.inference.conftest import DEADLINE, ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.inference.conftest import Server

pytestmark = pytest.mark.process


def worker_pids(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        threading.Event().wait(0.02)


def held_open(server: Server) -> socket.socket:
    """Return a connection on which a request has begun and is not whole."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
    connection.sendall(
        b"POST /models/a/invoke HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: 19\r\nexpect: 100-continue\r\n\r\n"
    )
    assert connection.recv(64).startswith(b"HTTP/1.1 100")  # so a worker is reading its body
    return connection


def answer_of(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    connection.sendall(b'{"top_artists": []}')
    connection.shutdown(socket.SHUT_WR)
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_model_loaded_through_one_worker_is_served_by_all(
    start: Any, archives: Path, documents: list[dict[str, Any]]
) -> None:
    server = ready(start(3))
    assert server.load("a", archives / "bundle").status == 200
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: server.invoke("a", documents[0]), range(60)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    lines = [server.wait_for("model loaded") for _ in range(3)]
    assert {line["pid"] for line in lines} == worker_pids(server)


def test_a_killed_worker_is_replaced_and_knows_what_the_others_know(
    start: Any, archives: Path, documents: list[dict[str, Any]]
) -> None:
    server = ready(start(2))
    server.load("a", archives / "bundle")
    before = worker_pids(server)
    os.kill(min(before), signal.SIGKILL)
    assert server.wait_for("worker died")["worker"] == min(before)
    assert server.invoke("a", documents[0]).status == 200  # by the other one
    server.wait_for("model loaded")
    until(lambda: len(worker_pids(server)) == 2, "no worker in its place")
    os.kill(max(before), signal.SIGKILL)  # only the new one is left to answer
    server.wait_for("worker died")
    until(lambda: server.invoke("a", documents[0]).status == 200, "the new worker lacks the model")


def test_killing_workers_under_load_loses_at_most_their_own_requests(
    start: Any, archives: Path, documents: list[dict[str, Any]]
) -> None:
    server = ready(start(2))
    server.load("a", archives / "bundle")
    stop, statuses, broken = threading.Event(), [], []

    def ask() -> None:
        while not stop.is_set():
            try:
                statuses.append(server.invoke("a", documents[0]).status)
            except (OSError, HTTPException):
                broken.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        os.kill(min(worker_pids(server)), signal.SIGKILL)
        server.wait_for("worker died")
        server.wait_for("model loaded")
    stop.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert set(statuses) == {200}
    assert len(broken) <= 2 * len(threads)


def test_what_a_dead_worker_had_not_taken_is_answered_by_another(
    start: Any, archives: Path, documents: list[dict[str, Any]]
) -> None:
    server = ready(start(2))
    server.load("a", archives / "bundle")
    stuck = min(worker_pids(server))
    os.kill(stuck, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(server.invoke, "a", documents[0]) for _ in range(2)]
        done, waiting = wait(asked, timeout=DEADLINE, return_when=FIRST_COMPLETED)
        assert (len(done), len(waiting)) == (1, 1)  # the other was dealt to the stuck one
        os.kill(stuck, signal.SIGKILL)
        assert [one.result(DEADLINE).status for one in asked] == [200, 200]


def test_sigterm_answers_what_is_in_flight_and_leaves_no_process(
    start: Any, archives: Path
) -> None:
    server = ready(start(2))
    server.load("a", archives / "prior")
    workers = worker_pids(server)
    connection = held_open(server)
    server.process.terminate()
    until(lambda: _refuses(server.port), "still accepts after SIGTERM")
    status, answer = answer_of(connection)
    assert (status, answer["prior"]) == (200, True)
    assert server.process.wait(DEADLINE) == 0
    assert not any(psutil.pid_exists(pid) for pid in workers)


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def test_workers_end_when_the_supervisor_is_killed(start: Any) -> None:
    server = ready(start(2))
    workers = worker_pids(server)
    server.process.kill()
    until(lambda: not any(map(_runs, workers)), "workers outlive their supervisor")


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_request_in_flight_is_answered_after_its_model_is_unloaded(
    start: Any, archives: Path
) -> None:
    server = ready(start(2))
    server.load("a", archives / "prior")
    connection = held_open(server)
    assert server.unload("a").status == 200
    status, answer = answer_of(connection)
    assert (status, answer["prior"]) == (200, True)
    assert server.invoke("a", {"top_artists": []}).status == 404


def test_a_model_beyond_the_memory_limit_is_507_until_one_is_unloaded(
    start: Any, archives: Path
) -> None:
    server = ready(start(1, LISTENING_MODEL_MEMORY_MB="1"))
    size = sum(path.stat().st_size for path in (archives / "bundle" / "models").iterdir())
    fitting = 2**20 // (2 * size)
    for i in range(fitting):
        status = server.load(str(i), archives / "bundle").status
        if status == 507:
            break
    else:
        pytest.fail(f"{fitting} models of {size} bytes of trees were loaded into 1 MB")
    assert i > 0
    assert "unload a model" in server.load("x", archives / "bundle").json()["message"]
    assert server.unload("0").status == 200
    assert server.load("x", archives / "bundle").status == 200


def test_another_systems_archive_that_is_too_large_pushes_nothing_out(
    start: Any, archives: Path, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    large, unknown = (ArchiveWriter(tmp_path / name) for name in ("large", "unknown"))
    large.array("table.npy", np.zeros(2**18))  # 2 MB
    for writer in (large, unknown):
        writer.finish("weather.bundle", {})
    server = ready(start(2, LISTENING_MODEL_MEMORY_MB="2"))
    assert server.load("ours", archives / "bundle").status == 200
    reply = server.load("theirs", tmp_path / "large")
    needed, taken = (
        load(folder, verify=False).memory.of(2)
        for folder in (tmp_path / "large", archives / "bundle")
    )
    assert reply.status == 507
    assert f"takes about {needed} bytes, {taken} of {2**21} are taken" in reply.json()["message"]
    reply = server.load("theirs", tmp_path / "unknown")
    assert reply.status == 500
    assert "unknown kind 'weather.bundle'" in reply.json()["message"]
    assert [model["modelName"] for model in server("GET", "/models").json()["models"]] == ["ours"]
    assert server.invoke("ours", documents[0]).status == 200


def test_a_corrupted_archive_is_refused_by_all_workers(
    start: Any, archives: Path, tmp_path: Path
) -> None:
    server = ready(start(2))
    shutil.copytree(archives / "bundle", tmp_path / "a")
    with (tmp_path / "a" / "artists" / "matrix.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    reply = server.load("a", tmp_path / "a")
    assert reply.status == 500
    assert "corrupted" in reply.json()["message"]
    for _ in range(4):
        assert server("GET", "/models").json() == {"models": []}
    assert server.load("a", archives / "bundle").status == 200


def test_a_worker_that_dies_while_it_loads_fails_the_load_with_the_reason(
    start: Any, archives: Path
) -> None:
    server = ready(start(2))
    assert server.load("first", archives / "prior").status == 200  # so both serve
    for _ in range(2):
        server.wait_for("model loaded")
    stuck = min(worker_pids(server))
    os.kill(stuck, signal.SIGSTOP)
    callers = [HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE) for _ in range(2)]
    for caller in callers:
        caller.request("GET", "/ping")
    (answered,), _, _ = select.select([caller.sock for caller in callers], [], [], DEADLINE)
    other = next(caller for caller in callers if caller.sock is answered)
    other.getresponse().read()
    document = json.dumps({"model_name": "a", "url": str(archives / "prior")})
    other.request("POST", "/models", document)
    server.wait_for("model loaded")
    os.kill(stuck, signal.SIGKILL)
    reply = other.getresponse()
    assert reply.status == 500
    assert b"a worker died" in reply.read()
    for caller in callers:
        caller.close()
    assert server.load("a", archives / "prior").status == 200


def test_connections_are_dealt_out_evenly_and_past_a_worker_that_is_stuck(
    start: Any, archives: Path
) -> None:
    server = ready(start(2))
    assert server.load("first", archives / "prior").status == 200  # so both serve
    held = dict.fromkeys(worker_pids(server), 0)
    callers = [HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE) for _ in range(8)]
    for caller in callers:
        caller.request("GET", "/ping")
        assert caller.getresponse().read() == b"{}"
    ports = {caller.sock.getsockname()[1] for caller in callers}
    for pid in held:
        for link in psutil.Process(pid).net_connections():
            held[pid] += bool(link.raddr) and link.raddr.port in ports
    assert set(held.values()) == {4}
    os.kill(min(held), signal.SIGSTOP)
    two = [HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE) for _ in range(2)]
    for caller in two:
        caller.request("GET", "/ping")
    assert select.select([caller.sock for caller in two], [], [], DEADLINE)[0]  # one is stuck
    for _ in range(6):
        assert server("GET", "/ping").status == 200
    os.kill(min(held), signal.SIGCONT)
    for caller in two:
        assert caller.getresponse().read() == b"{}"
    for caller in (*callers, *two):
        caller.close()


def test_loading_and_unloading_while_answering(
    start: Any, archives: Path, documents: list[dict[str, Any]]
) -> None:
    server = ready(start(2))
    server.load("stays", archives / "bundle")
    stop, statuses = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            statuses.append(server.invoke("stays", documents[0]).status)

    def churn(name: str) -> set[int]:
        return {
            reply.status
            for _ in range(5)
            for reply in (server.load(name, archives / "region"), server.unload(name))
        }

    asking = threading.Thread(target=ask)
    asking.start()
    with ThreadPoolExecutor(3) as pool:
        assert set().union(*pool.map(churn, ["a", "b", "c"])) == {200}
    stop.set()
    asking.join(DEADLINE)
    assert set(statuses) == {200}


def test_bodies_over_the_limit_are_413(start: Any, archives: Path) -> None:
    server = ready(start(1, SAGEMAKER_MAX_PAYLOAD_IN_MB="1"))
    server.load("a", archives / "prior")
    reply = server.invoke("a", b" " * (2**20 + 1), content_type="application/json")
    assert reply.status == 413
    assert "1048576 bytes" in reply.json()["message"]
    chunks = (b" " * 2**18 for _ in range(5))  # sent without saying how much comes
    reply = server("POST", "/models/a/invoke", chunks, content_type="application/json")
    assert reply.status == 413
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as connection:
        head = f"POST /models/a/invoke HTTP/1.1\r\nhost: a\r\ncontent-length: {2**40}\r\n\r\n"
        connection.sendall(head.encode() + b" " * (2**21 + 1))  # the rest is not waited for
        assert connection.recv(2**16).startswith(b"HTTP/1.1 413 ")


def test_errors_name_the_target(shared_server: Server, archives: Path) -> None:
    shared_server.load("r", archives / "region")
    reply = shared_server.invoke(
        "r", {"top_artists": []}, **{"X_Amzn_SageMaker_Target_Model": "v1/region.tar.gz"}
    )
    assert reply.status == 415
    assert reply.json()["target_model"] == "v1/region.tar.gz"
    assert "bundle.tar.gz" in reply.json()["message"]
    shared_server.unload("r")


def test_a_path_that_climbs_is_refused(shared_server: Server, archives: Path) -> None:
    reply = shared_server.load("a", f"{archives}/region/../prior")
    assert reply.status == 400
    assert "'..'" in reply.json()["message"]


@pytest.mark.parametrize("name", ["a/b", "../../etc/passwd", "ü", "a b", "%2e%2e"])
def test_a_models_name_is_only_a_name(shared_server: Server, archives: Path, name: str) -> None:
    assert shared_server.load(name, archives / "prior").status == 200
    assert shared_server.invoke(name, {"top_artists": []}).status == 200
    assert shared_server.unload(name).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/ping", 404),
        ("PUT", "/models", 405),
        ("PUT", "/models/a", 405),
        ("GET", "/models/a/b/c", 405),
        ("POST", "/invocations", 404),
        ("GET", "/models?limit=-1", 400),
    ],
)
def test_other_operations_are_refused(
    shared_server: Server, method: str, path: str, status: int
) -> None:
    assert shared_server(method, path).status == status


def test_a_malformed_http_request_harms_nobody(shared_server: Server) -> None:
    for garbage in (b"\x00" * 100, b"GET\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", shared_server.port), DEADLINE) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert shared_server("GET", "/ping").status == 200


def test_single_model_mode_answers_batch_transform(
    start: Any, archives: Path, tmp_path: Path, documents: list[dict[str, Any]]
) -> None:
    shutil.copytree(archives / "bundle", tmp_path / "model")
    server = ready(start(2, multi_model=False, SAGEMAKER_BASE_DIR=str(tmp_path)))
    assert server("GET", "/execution-parameters").json()["MaxPayloadInMB"] == 25
    lines = b"\n".join(json.dumps(document).encode() for document in documents)
    reply = server("POST", "/invocations", lines, content_type="application/jsonlines")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/jsonlines"
    answers = [json.loads(line) for line in reply.body.splitlines()]
    assert len(answers) == len(documents)
    assert server("POST", "/invocations", documents[3]).json() == answers[3]
    assert server("GET", "/models").status == 404
    os.kill(min(worker_pids(server)), signal.SIGKILL)
    server.wait_for("worker died")
    server.wait_for("model loaded")
    assert server("POST", "/invocations", documents[3]).json() == answers[3]


def test_single_model_mode_without_a_model_ends_with_the_reason(start: Any, tmp_path: Path) -> None:
    server = start(2, multi_model=False, SAGEMAKER_BASE_DIR=str(tmp_path))
    assert "no manifest.json" in server.wait_for("model not loaded")["reason"]
    assert server.process.wait(DEADLINE) == 1


def test_a_wrong_setting_is_named(start: Any) -> None:
    server = start(1, SAGEMAKER_MAX_PAYLOAD_IN_MB="many")
    assert server.process.wait(DEADLINE) == 1
    server.wait_for("serve: SAGEMAKER_MAX_PAYLOAD_IN_MB must be a whole number from 1, got 'many'")
