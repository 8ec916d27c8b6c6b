"""Each kind of archive has its handler, and others are refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference.handlers import HANDLERS, load_handler
from listening.archive import PRIOR, ArchiveWriter, load
from listening.errors import ArchiveError
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path


def test_every_system_answers_before_any_training() -> None:
    assert {f"{system}.{PRIOR}" for system in SYSTEMS} <= set(HANDLERS)


def test_every_kind_that_is_written_has_a_handler(archives: Path) -> None:
    kinds = {load(folder, verify=False).kind for folder in archives.iterdir()}
    assert kinds == {kind for kind in HANDLERS if kind.startswith("country.")}
    for folder in archives.iterdir():
        assert load_handler(folder).archive.kind in kinds


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    ArchiveWriter(tmp_path).finish("weather.bundle", {})
    with pytest.raises(ArchiveError, match=r"unknown kind 'weather\.bundle'; this image answers"):
        load_handler(tmp_path)
