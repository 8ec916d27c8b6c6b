"""The endpoint beside what it replaces: ``python benchmarks/serving.py --json FILE``.

Both sides of every ratio are measured in one run, alternating, by medians. The bundle is generated:
200,000 artists, a region model and 13 country models of 100 rounds with trees as small as this
project's, made as unsure as those of real listeners (`VISITED`). What ours is compared with:

original
    The recipe's inference: reads the artist table from a file on each request, 129 features, one
    flat model. It is called directly, ours over HTTP.
plain chain
    `lightgbm.Booster.predict` of all 14 models, one thread, then the full sum.
Multi Model Server
    AWS's, running the same script, one worker process per core as ours.
text and dict
    The artist table as parquet read into a dictionary, and the same LightGBM text.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # as in a worker of the server
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from benchmarks import multi_model_server as mms  # noqa: E402
from benchmarks.synthetic_bundle import SyntheticBundle  # noqa: E402
from inference.handlers import load_handler  # noqa: E402
from listening.country.bundle import Bundle, TrainedModel, load  # noqa: E402
from listening.country.chain import Chain, log_probabilities  # noqa: E402
from listening.country.predictor import ChainPredictor, Model  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from listening.country.listeners import RawListener

VISITED = 5.2 / 11
"""Share of the regions that the five likeliest countries of real listeners take (REFERENCE)."""
K = 5
CONNECTIONS = 4
SUSTAINED = 60  # seconds
WORKERS = os.cpu_count() or 1


@dataclass(frozen=True)
class Material:
    """What all measurements use.

    Parameters
    ----------
    bundle
        The bundle's folder.
    table
        The artist table as parquet: names, vectors and all columns.
    flat
        The original's model.
    listeners, bodies, features
        Listeners raw, as JSON requests, and as features.
    """

    bundle: Path
    table: Path
    flat: Path
    listeners: list[RawListener]
    bodies: list[bytes]
    features: npt.NDArray[np.float32]


def prepare(folder: Path) -> Material:
    """Generate the bundle and its listeners."""
    made = SyntheticBundle(
        artists=200_000,
        regions=13,
        countries=119,
        dimensions=128,
        rounds=100,
        leaves=7,
        flat_leaves=63,
        listeners=2_500,
        list_length=50,
    )
    listeners, _ = made.generate(1_000)
    features = made.features(listeners)
    models = as_unsure_as_real(made.models, features[:200])
    made.write(folder / "bundle", models)
    made.write_single(folder / "flat", "flat")
    made.write_single(folder / "region", "region")
    matrix = made.table.matrix
    vectors = np.ascontiguousarray(matrix[:, : made.dimensions])
    pq.write_table(
        pa.table(
            {
                "artist_name": [made.table.name(i) for i in range(made.artists)],
                "vector": as_spark_writes(vectors),
                "row": as_spark_writes(matrix),
            }
        ),
        folder / "artists.parquet",
    )
    bodies = [
        json.dumps(
            {
                "top_artists": [
                    {"artist_name": name, "playcount": count}
                    for name, count in zip(listener.names, listener.playcounts or [], strict=True)
                ],
                "total_scrobbles": listener.total_scrobbles,
            }
        ).encode()
        for listener in listeners
    ]
    return Material(
        folder / "bundle",
        folder / "artists.parquet",
        folder / "flat" / "model.txt",
        listeners,
        bodies,
        features,
    )


def as_spark_writes(matrix: npt.NDArray[np.float32]) -> pa.Array:
    """Return the rows of a matrix as Spark writes vectors: lists of a length of their own."""
    bounds = np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(bounds), pa.array(matrix.ravel()))


def as_unsure_as_real(
    models: Sequence[TrainedModel], features: npt.NDArray[np.float32]
) -> list[TrainedModel]:
    """Return region and country models, the region model's scale set for `VISITED`."""
    ready = [Model(m.spec, m.text) for m in models[:-1]]
    chain = Chain(models[0].spec.classes, tuple(m.spec.classes for m in models[1:-1]))
    raw = ready[0].raw_scores(features)
    countries = [model.log_probabilities(features) for model in ready[1:]]
    low, high = 0.01, 10.0
    for _ in range(12):
        spec = replace(models[0].spec, scale=(low * high) ** 0.5, bias=())
        found = chain.top_k(
            log_probabilities(spec, features, raw), lambda r, rows: countries[r][rows], K
        )
        unsure = found.visited.mean() > VISITED * len(chain.regions)
        low, high = (spec.scale, high) if unsure else (low, spec.scale)
    return [TrainedModel(spec, models[0].text), *models[1:-1]]


def medians(
    sides: dict[str, Callable[[int], Any]],
    repeats: int,
    *,
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each side, called with 0, 1, …, alternating in rounds.

    Sides that run on one thread are measured by its CPU time (`time.process_time`), since what else
    a shared machine does is not theirs.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for part in np.array_split(np.arange(repeats), min(rounds, repeats)):
        for name, call in sides.items():
            for i in part.tolist():
                start = clock()
                call(i)
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


# --- the other sides -----------------------------------------------------------------------------


class Original:
    """The original's inference; its table lies in a file as it lay in S3."""

    def __init__(self, material: Material) -> None:
        self._table = material.table
        self._booster = lightgbm.Booster(model_file=str(material.flat))

    def answer(self, body: bytes) -> bytes:
        """Answer a request as the original did."""
        request = json.loads(body)
        table = pq.read_table(self._table, columns=["artist_name", "vector"]).to_pandas()
        vectors = dict(zip(table["artist_name"], table["vector"], strict=True))
        total, weights = np.zeros(128), 0.0
        for artist in request["top_artists"]:
            vector = vectors.get(artist["artist_name"])
            if vector is not None:
                weight = np.log10(artist["playcount"] + 1)
                total += weight * vector
                weights += weight
        row = np.append(total / (weights or 1), np.log(request["total_scrobbles"] + 1))
        shares = self._booster.predict(row[None], num_threads=1)[0]
        best = np.argsort(-shares)[:K].tolist()
        return json.dumps([[place, float(shares[place])] for place in best]).encode()


class PlainChain:
    """All models by `Booster.predict`, and the full sum."""

    def __init__(self, bundle: Bundle) -> None:
        self._models = [(spec, Model(spec, bundle.text(spec)).booster) for spec in bundle.models]

    def top(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Return the places of the likeliest countries, ``(n_listeners, K)``."""
        logs = [
            log_probabilities(
                spec,
                features,
                None
                if booster is None
                else booster.predict(features[:, spec.columns], raw_score=True, num_threads=1),
            )
            for spec, booster in self._models
        ]
        joint = np.concatenate(
            [logs[0][:, [r]] + logs[r + 1] for r in range(len(logs) - 1)], axis=1
        )
        return np.argsort(-joint, axis=1, kind="stable")[:, :K]


def text_and_dict(material: Material) -> tuple[Any, Any]:
    """Load what a bundle holds the plain way."""
    table = pq.read_table(material.table, columns=["artist_name", "row"])
    rows = table["row"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    artists = dict(zip(table["artist_name"].to_pylist(), map(np.copy, rows), strict=True))
    texts = sorted((material.bundle / "models").glob("*.txt"))
    return artists, [lightgbm.Booster(model_file=str(path)) for path in texts]


# --- HTTP ----------------------------------------------------------------------------------------


class Connection:
    """A connection that stays open and adds as little as it can to what it measures."""

    def __init__(self, port: int, path: str = "/models/m/invoke") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: "
        ).encode()

    def post(self, body: bytes) -> bytes:
        """Return the response's body; raises OSError unless the status is 200."""
        self._socket.sendall(self._head + b"%d\r\n\r\n" % len(body) + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, rest = data.partition(b"\r\n\r\n")
        names = head.lower()
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError(head.split(b"\r\n")[0].decode())
        start = names.index(b"content-length:") + len(b"content-length:")
        length = int(names[start:].split(b"\r\n")[0])
        while len(rest) < length:
            rest += self._more()
        return rest

    def _more(self) -> bytes:
        chunk = self._socket.recv(262_144)
        if not chunk:
            raise OSError("closed by the server")
        return chunk

    def close(self) -> None:
        """Close it."""
        self._socket.close()


@contextmanager
def running(command: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server, and end it with all its children."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def ours(workers: int = WORKERS) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run our server; give its port."""
    with running(
        [sys.executable, "-m", "inference.serve"],
        SAGEMAKER_BIND_TO_PORT="0",
        SAGEMAKER_MULTI_MODEL="true",
        SAGEMAKER_MODEL_SERVER_WORKERS=str(workers),
        SAGEMAKER_BIND_TO_HOST="127.0.0.1",
    ) as process:
        assert process.stdout is not None
        port = 0
        for line in process.stdout:
            if '"ready"' in line:
                port = json.loads(line)["port"]
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield port, process


@contextmanager
def multi_model_server(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run Multi Model Server; give its port."""
    port = mms.free_port()
    python = mms.PYTHON or mms.install(folder / "mms")
    command = mms.command(folder, port, python=python, workers=WORKERS)
    with running(command, **mms.ENVIRONMENT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if mms.STARTED in line:
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield port, process


def cpu_seconds(server: subprocess.Popen[str]) -> float:
    """Return the CPU time that a server and its children have taken."""
    parent = psutil.Process(server.pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def load_model(port: int, name: str, folder: Path) -> None:
    """Load a model by the multi-model contract."""
    connection = Connection(port, "/models")
    connection.post(json.dumps({"model_name": name, "url": str(folder)}).encode())
    connection.close()


def latencies(port: int, bodies: Sequence[bytes]) -> list[float]:
    """Return the seconds of each request on one connection, after warming up."""
    connection = Connection(port)
    for body in bodies[:50]:
        connection.post(body)
    times = []
    for body in bodies:
        start = time.perf_counter()
        connection.post(body)
        times.append(time.perf_counter() - start)
    connection.close()
    return times


def _drive(port: int, bodies: Sequence[bytes], seconds: float, rate: float) -> list[int]:
    """Ask on one connection at most at this rate, and again where it was cut; return counts."""
    answered = failed = cut = 0
    connection = Connection(port)
    start = time.perf_counter()
    while (now := time.perf_counter() - start) < seconds:
        ahead = answered / rate - now if rate else 0.0
        if ahead > 0:
            time.sleep(ahead)
        try:
            connection.post(bodies[answered % len(bodies)])
            answered += 1
        except OSError as error:
            connection.close()
            if "closed" in str(error) or isinstance(error, ConnectionError):
                cut += 1
            else:
                failed += 1
            connection = Connection(port)
    return [answered, failed, cut]


def drive(
    port: int, bodies: Sequence[bytes], seconds: float, rate: float = 0.0
) -> tuple[int, int, int]:
    """Ask on `CONNECTIONS` connections from as many processes; return answers, errors and cuts."""
    with multiprocessing.get_context("fork").Pool(CONNECTIONS) as pool:
        share = rate / CONNECTIONS
        found = pool.starmap(_drive, [(port, bodies, seconds, share)] * CONNECTIONS)
    answered, failed, cut = np.array(found).sum(axis=0).tolist()
    return answered, failed, cut


# --- measurements --------------------------------------------------------------------------------


def one_listener(material: Material) -> dict[str, Any]:
    """One listener: JSON to JSON against the original, prediction alone against the plain chain."""
    original = Original(material)
    bundle = load(material.bundle)
    assert isinstance(bundle, Bundle)
    plain, predictor = PlainChain(bundle), ChainPredictor(bundle)
    rows = material.features

    def exact(i: int) -> None:
        predictor.top_k_of_one(rows[i], predictor.log_regions(rows[i]), K)

    def without_stopping(i: int) -> None:
        predictor.top_k_of_one(rows[i], predictor.log_regions(rows[i]), 10**6)

    alone = medians(
        {"exact": exact, "all regions": without_stopping, "plain": lambda i: plain.top(rows[[i]])},
        repeats=300,
        rounds=10,
        clock=time.process_time,
    )
    log_regions = predictor.log_regions(rows[:300])
    order = np.argsort(-log_regions, axis=1, kind="stable")
    every, *per_country = [s.rounds * len(s.classes) if s.file else 0 for s in bundle.models]
    trees = np.array(per_country)
    visited, evaluated = {}, {}
    for k in (1, 3, 5):
        found = predictor.top_k(rows[:300], k, log_regions=log_regions).visited
        of_countries = (trees[order] * (np.arange(len(trees)) < found[:, None])).sum(axis=1)
        visited[str(k)] = float(found.mean())
        evaluated[str(k)] = float((every + of_countries).mean() / (every + trees.sum()))
    with ours() as (port, _):
        load_model(port, "m", material.bundle)
        times = latencies(port, material.bodies)
        old = medians({"original": lambda i: original.answer(material.bodies[i])}, repeats=5)
        times += latencies(port, material.bodies)
    return {
        "http_ms": {"p50": quantile(times, 50), "p99": quantile(times, 99)},
        "original_ms": old["original"] * 1e3,
        "prediction_ms": {name: seconds * 1e3 for name, seconds in alone.items()},
        "early_stopping": alone["all regions"] / alone["exact"],
        "regions_visited_of_13": visited,
        "share_of_trees_evaluated": evaluated,
        "ratios": {
            "latency_vs_original": old["original"] / statistics.median(times),
            "latency_vs_plain_chain": alone["plain"] / alone["exact"],
        },
    }


def quantile(seconds: Sequence[float], percent: float) -> float:
    """Return a quantile in milliseconds."""
    return float(np.percentile(seconds, percent)) * 1e3


def against_mms(material: Material, folder: Path) -> dict[str, Any]:
    """Measure latency and throughput of the same script under both servers."""
    wrapped = folder / "wrapped"
    shutil.copytree(material.bundle, wrapped, copy_function=os.link)
    (wrapped / "MAR-INF").mkdir()
    (wrapped / "MAR-INF" / "MANIFEST.json").write_text(
        '{"runtime": "python", "model": {"modelName": "m", "handler": "mms_handler:handle"}}'
    )
    with ours() as own, multi_model_server(folder) as reference:
        servers = {"ours": own, "mms": reference}
        load_model(own[0], "m", material.bundle)
        load_model(reference[0], "m", wrapped)
        times: dict[str, list[float]] = {name: [] for name in servers}
        rates: dict[str, list[float]] = {name: [] for name in servers}
        costs: dict[str, list[float]] = {name: [] for name in servers}
        for part in range(4):
            bodies = material.bodies[part * 200 : (part + 1) * 200]
            for name, (port, _) in servers.items():
                times[name] += latencies(port, bodies)
        for _ in range(8):
            for name, (port, process) in servers.items():
                before = cpu_seconds(process)
                answered, _, _ = drive(port, material.bodies, 2)
                rates[name].append(answered / 2)
                costs[name].append((cpu_seconds(process) - before) / answered * 1e3)
    p50 = {name: statistics.median(values) for name, values in times.items()}
    rate = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "latency_ms": {
            name: {"p50": quantile(values, 50), "p99": quantile(values, 99)}
            for name, values in times.items()
        },
        "requests_per_second": rate,
        "cpu_ms_per_request": {name: statistics.median(values) for name, values in costs.items()},
        "ratios": {
            "latency_vs_mms": p50["mms"] / p50["ours"],
            "throughput_vs_mms": rate["ours"] / rate["mms"],
        },
    }


def batches(material: Material) -> dict[str, Any]:
    """Measure rows a second of 1,000 and of 100,000 listeners.

    Of the latter, the plain side is extrapolated.
    """
    bundle = load(material.bundle)
    assert isinstance(bundle, Bundle)
    plain, predictor = PlainChain(bundle), ChainPredictor(bundle)
    rows = material.features[:1_000]
    times = medians(
        {"exact": lambda _: predictor.top_k(rows, K), "plain": lambda _: plain.top(rows)},
        repeats=5,
        rounds=5,
        clock=time.process_time,
    )
    assert np.array_equal(predictor.top_k(rows, K).countries, plain.top(rows))
    many = np.tile(rows, (100, 1))
    start = time.process_time()
    predictor.top_k(many, K)
    seconds = time.process_time() - start
    return {
        "rows_per_second": {
            "1000": {name: len(rows) / value for name, value in times.items()},
            "100000": {
                "exact": len(many) / seconds,
                "plain, extrapolated from 1000": len(rows) / times["plain"],
            },
        },
        "ratios": {"batch_1k_vs_plain": times["plain"] / times["exact"]},
    }


def loading(material: Material) -> dict[str, Any]:
    """Measure cold loads, files in the page cache on both sides."""
    sides: dict[str, Callable[[int], Any]] = {
        "bundle": lambda _: load_handler(material.bundle),
        "text and dict": lambda _: text_and_dict(material),
    }
    times = medians(sides, repeats=9, rounds=9)
    size = sum(path.stat().st_size for path in material.bundle.rglob("*") if path.is_file())
    return {
        "seconds": times,
        "bundle_megabytes": size / 1e6,
        "ratios": {"cold_load_vs_text_and_dict": times["text and dict"] / times["bundle"]},
    }


def _hold(material: Material, ready: Any, stop: Any) -> None:
    held = text_and_dict(material)
    ready.release()
    stop.wait()
    del held


def memory(material: Material) -> dict[str, Any]:
    """Measure proportional set sizes of 1 and 4 workers on the same bundle.

    Of ours, the whole artist table is added, as if all of it had been touched besides.
    """
    tables = sum(path.stat().st_size for path in (material.bundle / "artists").iterdir())
    found: dict[str, dict[str, float]] = {}
    context = multiprocessing.get_context("spawn")
    for workers in (1, 4):
        with ours(workers) as (port, process):
            load_model(port, "m", material.bundle)
            latencies(port, material.bodies[:200])
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
            bundle = sum(member.memory_full_info().pss for member in family) + tables
        ready, stop = context.Semaphore(0), context.Event()
        holders = [
            context.Process(target=_hold, args=(material, ready, stop)) for _ in range(workers)
        ]
        for holder in holders:
            holder.start()
        for _ in holders:
            ready.acquire()
        plain = sum(psutil.Process(holder.pid).memory_full_info().pss for holder in holders)
        stop.set()
        for holder in holders:
            holder.join()
        found[str(workers)] = {"bundle": bundle / 1e6, "text and dict": plain / 1e6}
    four = found["4"]
    return {
        "megabytes": found,
        "ratios": {"memory_vs_dict": four["text and dict"] / four["bundle"]},
    }


def _burn(stop: Any) -> None:
    while not stop.is_set():
        sum(range(10_000))


def busy(material: Material) -> dict[str, Any]:
    """Measure the latency of one connection with quiet and with busy cores."""
    context = multiprocessing.get_context("spawn")
    quiet: list[float] = []
    loaded: list[float] = []
    with ours() as (port, _):
        load_model(port, "m", material.bundle)
        for _ in range(3):
            quiet += latencies(port, material.bodies[:300])
            stop = context.Event()
            burners = [context.Process(target=_burn, args=(stop,)) for _ in range(WORKERS)]
            for burner in burners:
                burner.start()
            time.sleep(1)  # until they have started; what they delay is the measurement
            loaded += latencies(port, material.bodies[:300])
            stop.set()
            for burner in burners:
                burner.join()
    return {
        "p50_ms": {"quiet": quantile(quiet, 50), "busy": quantile(loaded, 50)},
        "ratios": {"busy_latency_ratio": statistics.median(quiet) / statistics.median(loaded)},
    }


def sustained(material: Material) -> dict[str, Any]:
    """Load at 80% of the peak rate while models come and go, and a worker is killed at the end."""
    with ours() as (port, process):
        server = psutil.Process(process.pid)
        load_model(port, "m", material.bundle)
        peak = drive(port, material.bodies, 5)[0] / 5
        stop = threading.Event()
        churned = 0

        def churn() -> None:
            nonlocal churned
            while not stop.is_set():
                load_model(port, "other", material.bundle.parent / "region")
                with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                    connection.sendall(
                        b"DELETE /models/other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
                    )
                    while connection.recv(4096):
                        pass
                churned += 1
                stop.wait(1)

        def used() -> float:
            family = [server, *server.children()]
            return sum(member.memory_full_info().uss for member in family) / 1e6

        churning = threading.Thread(target=churn)
        churning.start()
        drive(port, material.bodies, SUSTAINED / 6, 0.8 * peak)
        before = used()
        answered, failed, cut = drive(port, material.bodies, SUSTAINED, 0.8 * peak)
        stop.set()
        churning.join()
        after = used()
        victim = server.children()[0]
        threading.Timer(2, victim.kill).start()
        with_kill = drive(port, material.bodies, 8, 0.5 * peak)
        end = time.monotonic() + 20
        while len(server.children()) < WORKERS and time.monotonic() < end:
            time.sleep(0.1)
        restarted = len(server.children())
    return {
        "peak_requests_per_second": peak,
        "answered": answered,
        "errors": failed + cut,
        "models_loaded_and_unloaded": churned,
        "megabytes_before_and_after": [before, after],
        "worker_killed": {
            "answered": with_kill[0],
            "errors": with_kill[1],
            "connections_cut": with_kill[2],
            "workers_afterwards": restarted,
        },
    }


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"ratios": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("generating the bundle and its models (a minute or two)", flush=True)
        material = prepare(folder)
        measurements: dict[str, Callable[[], dict[str, Any]]] = {
            "one listener": lambda: one_listener(material),
            "batches": lambda: batches(material),
            "cold load": lambda: loading(material),
            "memory": lambda: memory(material),
            "busy cores": lambda: busy(material),
            "Multi Model Server": lambda: against_mms(material, folder),
            "sustained load": lambda: sustained(material),
        }
        for title, measure in measurements.items():
            found = measure()
            report["ratios"] |= found.pop("ratios", {})
            report[title] = found
            print(f"\n{title}\n{json.dumps(report[title], indent=2)}", flush=True)
    print(f"\nratios\n{json.dumps(report['ratios'], indent=2)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
