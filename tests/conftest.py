"""What the tests of all folders share."""

from __future__ import annotations

import gc
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
