"""The notebook of examples/, executed on the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from ops.cli.pipeline import Outcome
    from ops.connection import Connection
    from ops.emulator import Emulator

NOTEBOOK = Path(__file__).parents[2] / "examples" / "one_model.ipynb"


@pytest.mark.usefixtures("connection")
def test_the_notebook_trains_a_model_and_asks_the_champion(
    emulator: Emulator, connection: Connection, trained: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTENING_STATE", str(emulator.state))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    folder = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=120, resources=folder).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(o["text"] for o in outputs if o.output_type == "stream")
    assert "Completed" in said
    assert "region " in said
    assert f"bundle {trained.bundle_version}" in said
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 3
    [job] = connection.sagemaker.list_training_jobs(NameContains="notebook-region")[
        "TrainingJobSummaries"
    ]
    assert job["TrainingJobStatus"] == "Completed"
