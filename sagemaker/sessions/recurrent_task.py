"""The optional tasks ``sessions.gru`` and ``sessions.lstm``: a recurrent net for a session's start.

Keras trains them, which neither the image nor the project's environments hold unless asked for: an
image is built with it where an environment's settings name one of these tasks; on one machine,
`make recurrent` installs it into the environments that train and test.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hyperparameters import overridden, refuse_unknown, seed_of
from listening.archive import ArchiveWriter
from listening.errors import DataError
from listening.sessions.bundle import MODEL
from listening.sessions.forecast import LEVELS
from listening.sessions.recurrent_model import CONTENT, RecurrentModel, seconds, write_recurrent
from listening.sessions.sequence import context, step_rows, windows
from listening.sessions.state import FEATURES
from listening.systems import validation_metric
from sessions.data import FeaturesManifest, joined, read_sessions
from sessions.fitting import pinball
from sessions.recurrent_fit import RecurrentSettings, Sequences, fit_recurrent
from sessions.single import TRAINING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job import Job
    from listening.sessions.recurrent import Cell
    from sessions.data import Integers, Sessions
    from sessions.recurrent_fit import FittedRecurrent

METRIC = "pinball"

SETTINGS = tuple(field.name for field in fields(RecurrentSettings) if field.name != "loss")
"""Hyperparameters beside ``seed``. The loss is none: a forecast has nine quantiles."""


def train(job: Job, *, cell: Cell) -> None:
    """Train one net on log(1 + seconds), and write it as the archive `MODEL`.

    Channels: ``features`` (the features run's manifest), ``train`` and ``validation`` (the splits'
    sessions).

    Raises
    ------
    DataError
        A hyperparameter is unknown or out of its range, a channel cannot be worked with, or Keras
        is not installed.
    """
    refuse_unknown(job, SETTINGS)
    settings = overridden(RecurrentSettings(), job.hyperparameters)
    seed = seed_of(job)
    manifest = FeaturesManifest.read(job.channel("features"))
    splits = {name: read_sessions(job.channel(name)) for name in ("train", "validation")}
    rows = sequences(splits)
    limit_threads(job.num_threads)
    fitted = fit_recurrent(cell, rows["train"], rows["validation"], settings, seed)
    held = rows["validation"]
    quantiles = seconds(fitted.model, held.steps, held.lengths, held.context)
    loss = float(pinball(np.expm1(held.target.astype(np.float64)), quantiles).mean())
    version = _write(job, manifest, fitted)
    told = {
        "settings": asdict(settings),
        "seed": seed,
        "rows": {name: len(one) for name, one in rows.items()},
        "epochs": fitted.epochs,
        "curve": fitted.curve,
        "pinball": loss,
    }
    (job.model_folder / TRAINING).write_text(json.dumps(told, indent=1), "utf-8")
    metric, _ = validation_metric(METRIC)
    print(f"model {cell} {version}: {fitted.epochs} epochs; {metric}={loss:.5f};")


TASKS = {f"sessions.{cell}": partial(train, cell=cell) for cell in ("gru", "lstm")}
"""By system and the name in its entry."""


def limit_threads(threads: int) -> None:
    """Let JAX compute on so many threads; it reads these variables when it begins to."""
    os.environ["NPROC"] = str(threads)
    flag = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()


def sequences(splits: Mapping[str, Sessions]) -> dict[str, Sequences]:
    """Return each split's sessions with the steps before them, of whichever split those are.

    Raises
    ------
    DataError
        Sessions of a listener are missing between others.
    """
    everyone = joined(list(splits.values()))
    begins = np.searchsorted(everyone.listener, everyone.listener)
    wrong = np.flatnonzero(everyone.number != np.arange(len(everyone)) - begins)
    if len(wrong):
        user_id = everyone.user_ids[everyone.listener[wrong[0]]]
        raise DataError(
            f"sessions of listener {user_id} are missing between others: give the channels "
            f"{' and '.join(splits)} of one features run, with all of their files"
        )
    rows = step_rows(
        listener=everyone.listener,
        start=everyone.start,
        length=everyone.length,
        plays=everyone.plays,
        skips=_skips(everyone),
    )
    found = {}
    for name, split in splits.items():
        chosen = _places(everyone, split)
        steps, lengths = windows(rows, everyone.listener, chosen)
        found[name] = Sequences(
            steps=steps,
            lengths=lengths,
            context=context(split.features),
            target=np.log1p(split.length).astype(np.float32),
        )
    return found


def _write(job: Job, manifest: FeaturesManifest, fitted: FittedRecurrent) -> str:
    """Write the archive into the model's folder, and return its version."""
    archive = ArchiveWriter(job.model_folder)
    document = write_recurrent(archive, CONTENT, fitted.model)
    return archive.finish(
        MODEL,
        {
            "name": fitted.model.cell,
            "levels": list(LEVELS),
            "features": list(FEATURES),
            CONTENT: document,
        },
        created_from={"features_run": manifest.run},
        synthetic=manifest.synthetic,
        check=lambda written: RecurrentModel(written, document),
    )


def _skips(sessions: Sessions) -> Integers:
    """Return how many plays of each session were skipped, ``(n,)``."""
    until = np.concatenate([[0], np.cumsum(sessions.skipped, dtype=np.int64)])
    return np.diff(until[sessions.first])


def _places(everyone: Sessions, split: Sessions) -> Integers:
    """Return where a split's sessions stand among everyone's, in its own order."""
    listener = np.searchsorted(everyone.user_ids, split.user_ids)[split.listener]
    first = np.searchsorted(everyone.listener, listener)
    return np.asarray(first + split.number, dtype=np.int64)
