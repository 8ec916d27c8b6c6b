"""The settings of the original's LightGBM models, flat and chained."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sagemaker"))

from country.recipe import Recipe  # noqa: E402

FLAT = Recipe(
    blocks=("vector", "log_total_scrobbles"),
    learning_rate=0.05,
    num_leaves=63,
    min_data_in_leaf=50,
    feature_fraction=0.8,
    bagging_fraction=0.8,
    bagging_freq=5,
    lambda_l2=2.0,
    path_smooth=0.0,
    max_bin=255,
    max_rounds=100,
    early_stopping_rounds=0,
)
REGION = replace(FLAT, min_data_in_leaf=100, class_weights="sqrt", class_weight_cap=5.0)
LEAVES = ((200, 15, 300), (600, 31, 200), (1200, 31, 150), (2000, 47, 100))
"""Below so many training listeners a country: leaves, and rows a leaf."""

TEMPERATURE = 3.0
"""What the logarithms of the regions' probabilities are divided by."""
VISITED = 3
"""A listener's likeliest regions, whose country models are asked."""


def country(listeners_per_country: float) -> Recipe:
    """Return the settings of a country model."""
    leaves, rows = next(
        ((leaves, rows) for below, leaves, rows in LEAVES if listeners_per_country < below),
        (FLAT.num_leaves, FLAT.min_data_in_leaf),
    )
    return replace(
        FLAT,
        learning_rate=0.03,
        num_leaves=leaves,
        min_data_in_leaf=rows,
        class_weights="sqrt",
        class_weight_cap=3.0,
    )
