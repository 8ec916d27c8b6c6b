"""A recurrent forecaster of an archive: written, read, asked alone and for many."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from listening.archive import Archive, ArchiveWriter, load
from listening.errors import ArchiveError
from listening.sessions.forecast import LEVELS
from listening.sessions.recurrent import Dense, Layer, Recurrent, Standard
from listening.sessions.recurrent_model import RecurrentModel, write_recurrent
from listening.sessions.sequence import STEP_FEATURES, context, padded, steps
from listening.sessions.state import FEATURES, Session, State

if TYPE_CHECKING:
    from pathlib import Path

UNITS = 4


def array(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (0.3 * rng.normal(size=shape)).astype(np.float32)


def forecaster(levels: tuple[float, ...] = LEVELS, known: int = len(FEATURES)) -> Recurrent:
    rng = np.random.default_rng(3)
    return Recurrent(
        cell="gru",
        layers=(
            Layer(
                array(rng, len(STEP_FEATURES), 3 * UNITS),
                array(rng, UNITS, 3 * UNITS),
                array(rng, 2, 3 * UNITS),
            ),
        ),
        hidden=Dense(array(rng, UNITS + known, 5), array(rng, 5)),
        output=Dense(array(rng, 5, len(levels)), np.full(len(levels), 7, np.float32)),
        steps=Standard(*(np.full(len(STEP_FEATURES), v, np.float32) for v in (1, 3))),
        context=Standard(*(np.full(known, v, np.float32) for v in (10, 1000))),
        levels=levels,
    )


def written(folder: Path, model: Recurrent) -> Archive:
    writer = ArchiveWriter(folder)
    document = write_recurrent(writer, "recurrent", model)
    writer.finish("sessions.model", {"recurrent": document})
    return load(folder)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Write a forecaster into an archive, and read it."""
    return written(tmp_path / "archive", forecaster())


def pasts() -> list[list[Session]]:
    hours = [3600.0 * (1 + 5 * n) for n in range(60)]
    own = [Session(h, h + 600 + 7 * i, 4 + i % 5, i % 3) for i, h in enumerate(hours)]
    return [[], own[:1], own[:20], own]


def features_of(past: list[Session]) -> list[float]:
    state = State()
    for session in past:
        state.fold(session)
    return state.features(1e6)


def test_one_is_answered_as_among_many_in_seconds(archive: Archive) -> None:
    model = RecurrentModel(archive, archive.content["recurrent"])
    features = np.array([features_of(past) for past in pasts()], np.float32)
    many = model.quantiles_of_many(pasts(), features)
    alone = np.array([model.quantiles(past, features_of(past)) for past in pasts()])
    assert many.shape == (4, len(LEVELS))
    assert many == pytest.approx(alone, rel=1e-5)
    assert (np.diff(many, axis=1) >= 0).all()
    expected = forecaster().quantiles(*padded([steps(p) for p in pasts()]), context(features))
    assert many == pytest.approx(np.expm1(expected), rel=1e-5)
    assert 60 < np.median(many) < 86_400
    assert len(np.unique(many[:, 4])) == 4


def test_lengths_are_never_below_0(tmp_path: Path) -> None:
    model = forecaster()
    model.output.bias[:] = -9
    answers = RecurrentModel(
        found := written(tmp_path / "low", model), found.content["recurrent"]
    ).quantiles([], features_of([]))
    assert (answers == 0).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": 12}, "other steps or features"),
        ({"step_features": ["length"]}, "other steps or features"),
        ({"context": []}, "other steps or features"),
        ({"files": {}}, "not a recurrent forecaster"),
        ({"files": {"hidden-bias": "away.npy"}}, "no hash for away.npy"),
        ({"description": None}, "no recurrent forecaster in it"),
    ],
)
def test_a_document_of_something_else_is_refused(
    archive: Archive, change: dict[str, Any], says: str
) -> None:
    document = deepcopy(archive.content["recurrent"]) | change
    with pytest.raises(ArchiveError, match=says):
        RecurrentModel(archive, document)
    with pytest.raises(ArchiveError, match="no recurrent forecaster in it"):
        RecurrentModel(archive, None)


@pytest.mark.parametrize("model", [forecaster(levels=(0.5,)), forecaster(known=3)])
def test_a_forecaster_of_other_levels_or_widths_is_refused(
    tmp_path: Path, model: Recurrent
) -> None:
    found = written(tmp_path / "other", model)
    with pytest.raises(ArchiveError, match=r"expected 8, 60 and 9"):
        RecurrentModel(found, found.content["recurrent"])
