"""The whole way on real listeners, where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ops import store
from ops.cdk import project_root
from ops.cli.pipeline import STEPS, walk
from ops.cli.progress import Journey
from ops.country import labelled as test_split
from ops.raw_folder import check_folder

if TYPE_CHECKING:
    from ops.connection import Connection
    from ops.country.client import CountryClient
    from ops.emulator import Emulator

pytestmark = [pytest.mark.integration, pytest.mark.real_data]


def real_listeners() -> Path:
    named = os.environ.get("LISTENING_DATA")
    data = Path(named) if named else project_root().parent / "shared" / "data"
    folder = data / "lastfm_listeners"
    if not folder.is_dir():
        pytest.skip(f"no real listeners in {folder}; set LISTENING_DATA to their folder")
    return folder


@pytest.mark.timeout(1500)
def test_the_endpoint_is_as_good_on_real_listeners_as_the_evaluation_says(
    emulator: Emulator, connection: Connection, client: CountryClient
) -> None:
    raw = check_folder(real_listeners())
    report = emulator.state / "real-report.html"
    outcome = walk(connection, raw, Journey(STEPS), system="country", report=report)
    assert outcome.published, outcome.reasons
    assert not outcome.synthetic
    manifest = store.features_manifest(connection, outcome.features_run, system="country")
    blocks = {block["name"] for block in manifest["layout"]}
    assert "log_total_scrobbles" not in blocks  # not in the data, so left out and not faked

    labelled = list(test_split.test_listeners(connection, outcome.features_run))
    answers = client.ask([one.listener for one in labelled])
    hits = [
        one.country in {country.code for country in answer.countries}
        for one, answer in zip(labelled, answers, strict=True)
    ]
    assert np.mean(hits) == pytest.approx(outcome.metrics["top5"], abs=5e-5)
    assert outcome.metrics["accuracy"] > 0.38
    assert outcome.metrics["top5"] > 0.63
