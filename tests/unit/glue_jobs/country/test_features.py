from __future__ import annotations

import pytest

from glue_jobs.country.features import Parameters
from listening.errors import DataError


def test_a_single_fold_is_refused() -> None:
    with pytest.raises(DataError, match="--folds is 1, but must be 2 or more"):
        Parameters(folds=1)
    assert Parameters(folds=2).folds == 2
