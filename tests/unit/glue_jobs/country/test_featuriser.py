from __future__ import annotations

import numpy as np
import pytest

from glue_jobs.country.featuriser import feature_layout, in_range
from listening.regions import Region, RegionTable

LAYOUT = feature_layout(
    RegionTable((Region("all", "All", ("DE", "US")),)), dimensions=2, total_scrobbles=True
)
GOOD = [0.3, -0.4, -0.1, -2.3, 0.0, 1.2, 2.4, 7.0]  # vector, affinity, region, and three numbers


@pytest.mark.parametrize(
    ("feature", "value", "is_good"),
    [
        ("vector[0]", -9.0, True),
        ("vector[0]", np.nan, False),
        ("affinity[DE]", 1e-7, True),  # float32 rounds the logarithm of 1
        ("affinity[DE]", 0.1, False),
        ("affinity[US]", -np.inf, False),
        ("region_affinity[all]", 0.5, False),
        ("evidence", -1.0, False),
        ("log_list_length", np.inf, False),
        ("log_total_scrobbles", np.nan, True),  # not given
        ("log_total_scrobbles", -np.inf, False),
    ],
)
def test_a_feature_must_be_a_number_of_its_blocks_range(
    feature: str, value: float, is_good: bool
) -> None:
    features = np.array([GOOD, GOOD], dtype=np.float32)
    features[1, LAYOUT.names.index(feature)] = value
    assert in_range(features, LAYOUT).tolist() == [True, is_good]
