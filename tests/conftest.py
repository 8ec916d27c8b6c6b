"""What the tests of all folders share."""

from __future__ import annotations

import gc
import shutil
import tempfile
from typing import TYPE_CHECKING

import botocore.loaders
import botocore.session
import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


# A machine that does other work beside the tests makes any example slow.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


def pytest_collection_finish() -> None:
    """Let garbage collection pass over what was imported: hundreds of modules of moto and CDK."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """Share what botocore reads from disk between sessions: most of a test's time else."""
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_are_removed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the tests, and the programs that they start, leave out of the temp folder."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield
    shutil.rmtree(folder, ignore_errors=True)
