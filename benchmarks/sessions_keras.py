"""What `sessions.py` asks of Keras; it starts this in an interpreter that has Keras and JAX.

    sessions_keras.py recipe FRAME OUT SETTINGS
    sessions_keras.py gru FOLDER

The first trains the published recipe on a frame of sessions, its settings a JSON object of
``epochs``, ``cluster_epochs``, ``smallest`` and ``seed``. The second answers requests, a line
each, through a GRU, and first writes its arrays into the folder, for numpy to answer with the same.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sagemaker"), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402

from listening.sessions.recurrent import Standard  # noqa: E402

DAY_S = 24 * 60 * 60.0
N_STEPS = 64
STEP = ("length", "gap", "sin", "cos", "plays", "skipped")
CONTEXT = ("gap", "sin", "cos", "sessions")
WARM_UP = 20  # requests that are not counted


def recipe(frame: Path, out: Path, settings: dict[str, Any]) -> None:
    """Train the recipe, and write its answers to the test rows and the figure it would publish."""
    import pandas as pd  # noqa: PLC0415 - a GRU needs none of it
    import sessions_recipe  # noqa: PLC0415

    sessions = pd.read_parquet(frame)
    epochs, seed = settings["epochs"], settings["seed"]
    of_cluster = {
        "epochs": settings["cluster_epochs"],
        "smallest": settings["smallest"],
        "seed": seed,
    }
    begins = time.perf_counter()
    pooled = sessions_recipe.predict_recipe(sessions, epochs=epochs, seed=seed)
    middle = time.perf_counter()
    by_cluster = sessions_recipe.predict_recipe_by_cluster(sessions, pooled=pooled, **of_cluster)
    last = time.perf_counter()
    normalised = sessions_recipe.published_normalised_mae(sessions, **of_cluster)
    np.savez(out, pooled=pooled, by_cluster=by_cluster.seconds)
    told = {
        "listeners_of_clusters": by_cluster.listeners,
        "clusters_left_out": by_cluster.left_out,
        "rows_without_cluster": by_cluster.pooled_rows,
        "normalised": asdict(normalised),
        "seconds": {
            "pooled": middle - begins,
            "by_cluster": last - middle,
            "normalised": time.perf_counter() - last,
        },
    }
    out.with_suffix(".json").write_text(json.dumps(told), "utf-8")


def sequence(body: bytes) -> tuple[Any, Any, Any]:
    """Return a request's past sessions, how many they are and what is known of the one that begins.

    Returns
    -------
    steps, lengths, context
        As `listening.sessions.recurrent.Recurrent.quantiles` takes them, of one row.
    """
    document = json.loads(body)
    sessions = document["sessions"][-N_STEPS:]
    start, end = (np.array([_seconds(s[name]) for s in sessions]) for name in ("start", "end"))
    plays, skips = (np.array([s[name] for s in sessions], float) for name in ("plays", "skips"))
    now, n = _seconds(document["now"]), len(sessions)
    steps = np.zeros((1, N_STEPS, len(STEP)), dtype=np.float32)
    steps[0, N_STEPS - n :] = np.column_stack(
        [
            np.log1p(end - start),
            np.log1p(np.append(0.0, start[1:] - end[:-1])),
            *_hour(start),
            np.log1p(plays),
            skips / np.maximum(plays, 1),
        ]
    )
    context = [np.log1p(now - end[-1]), *_hour(np.array(now)), np.log1p(n)]
    return steps, np.array([n]), np.array([context], dtype=np.float32)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _hour(seconds: Any) -> tuple[Any, Any]:
    angle = 2 * np.pi * (seconds % DAY_S) / DAY_S
    return np.sin(angle), np.cos(angle)


def answer(quantiles: Any) -> bytes:
    """Return quantiles of log length ``(1, 9)`` as the body of an answer."""
    seconds = np.expm1(quantiles[0])
    found = {f"0.{i}": round(float(value), 3) for i, value in enumerate(seconds, start=1)}
    return json.dumps({"length_s": found}).encode()


def gru(folder: Path) -> None:
    """Answer requests, a line of standard input each; a line out tells answer and seconds."""
    from sessions.recurrent_fit import (  # noqa: PLC0415 - `sequence` needs none of it
        RecurrentSettings,
        Scales,
        exported,
        load_keras,
        network,
    )

    settings = RecurrentSettings(hidden=48)
    load_keras().utils.set_random_seed(0)
    model = network("gru", settings, n_steps=N_STEPS, n_features=len(STEP), n_context=len(CONTEXT))
    scales = Scales(steps=_scale(len(STEP)), context=_scale(len(CONTEXT)), target=_scale(1))
    for_numpy = exported(model, "gru", scales=scales, levels=settings.levels)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "gru.npz", **for_numpy.arrays)
    (folder / "gru.json").write_text(json.dumps(for_numpy.description))

    def inputs(body: bytes) -> dict[str, Any]:
        steps, lengths, context = sequence(body)
        mask = np.arange(N_STEPS) >= N_STEPS - lengths[:, None]
        steps = np.where(mask[..., None], scales.steps(steps), np.float32(0))
        return {"steps": steps, "mask": mask, "context": scales.context(context)}

    def predict(body: bytes) -> bytes:
        scores = model.predict(inputs(body), verbose=0)
        return answer(np.sort(scores * scales.target.sd + scales.target.mean, axis=1))

    print("ready", flush=True)
    for line in sys.stdin.buffer:
        begins = time.perf_counter()
        said = predict(line)
        took = time.perf_counter() - begins
        print(json.dumps({"seconds": took, "answer": json.loads(said)}), flush=True)


def _scale(width: int) -> Standard:
    """Return a scale of the size of logarithms of seconds; what the weights are costs no time."""
    return Standard(np.full(width, 5, np.float32), np.full(width, 3, np.float32))


if __name__ == "__main__":
    if sys.argv[1] == "recipe":
        recipe(Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
    else:
        gru(Path(sys.argv[2]))
