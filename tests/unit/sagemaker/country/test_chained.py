"""The chain under a prior power answers as one model over all countries would."""

from __future__ import annotations

import numpy as np
import pytest

from country.calibration import Calibration
from country.chained import ChainScores, chain_tasks
from listening.country.chain import log_softmax
from listening.country.model_spec import ModelSpec
from listening.regions import RegionTable

REGIONS = RegionTable.from_json(
    {
        "regions": [
            {"slug": "nordics", "name": "Nordics", "countries": ["DK", "FI", "NO", "SE"]},
            {"slug": "oceania", "name": "Oceania", "countries": ["AU"]},
            {"slug": "anglo-am", "name": "Anglo-America", "countries": ["CA", "US"]},
        ]
    },
    source="the test",
)
COUNTS = {"DK": 40, "FI": 90, "NO": 70, "SE": 200, "AU": 150, "CA": 150, "US": 300}


@pytest.mark.parametrize("power", [0.0, 0.15, 0.5])
def test_the_average_listener_gets_what_one_model_answers(power: float) -> None:
    tasks = chain_tasks(REGIONS, COUNTS)
    base = np.concatenate([np.log(task.prior) for task in tasks])[None].astype(np.float32)
    ends = np.cumsum([len(task.classes) for task in tasks])
    specs = [
        ModelSpec(
            name=task.name,
            classes=task.classes,
            columns=(),
            base_columns=() if len(task.classes) == 1 else tuple(range(end - len(task.prior), end)),
        )
        for task, end in zip(tasks, ends.tolist(), strict=True)
    ]
    scores = ChainScores.of_raw(specs, tasks, base, (None,) * len(tasks))
    answered = scores.log_joint(Calibration(power=power))
    log_prior = np.log(np.array([COUNTS[c] for t in tasks[1:] for c in t.classes]) / 1000)
    expected = log_softmax((1 - power) * log_prior[None])
    np.testing.assert_allclose(answered, expected, atol=1e-6)
    own = [scores.log_of(np.array([c]))(Calibration(power=power))[0] for c in range(len(COUNTS))]
    np.testing.assert_array_equal(own, answered[0])
