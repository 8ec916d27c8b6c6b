"""The templates of production as they were last looked at, asset hashes masked.

After an intended change: ``UPDATE_SNAPSHOTS=1 pytest tests/unit/infra/test_snapshot.py``, then read
the difference.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

SNAPSHOTS = Path(__file__).with_name("snapshots")
HASH = re.compile(r"[0-9a-f]{64}")


def masked(resources: Any) -> Any:
    """Return the resources without asset hashes, and without an order that depends on them."""

    def sort(value: Any) -> Any:
        match value:
            case dict():
                return {
                    name: sorted(sort(inner), key=json.dumps)
                    if name == "Resource" and isinstance(inner, list)
                    else sort(inner)
                    for name, inner in value.items()
                }
            case list():
                return [sort(inner) for inner in value]
            case _:
                return value

    return sort(json.loads(HASH.sub("<hash>", json.dumps(resources))))


@pytest.mark.parametrize(
    "concern",
    [
        "api",
        "country-features",
        "country-training",
        "data",
        "monitoring",
        "network",
        "serving",
    ],
)
def test_the_templates_are_those_of_the_snapshot(prod: Any, concern: str) -> None:
    resources = masked(prod.templates[concern]["Resources"])
    snapshot = SNAPSHOTS / f"{concern}.json"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(json.dumps(resources, indent=1) + "\n")
    assert resources == json.loads(snapshot.read_text()), (
        f"{concern}: read the difference, then UPDATE_SNAPSHOTS=1 if it is meant"
    )
