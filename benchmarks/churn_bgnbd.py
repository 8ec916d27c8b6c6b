"""BG/NBD by pymc-marketing: ``PYTHON benchmarks/churn_bgnbd.py ASKED.npz ANSWER.npy DAYS``.

It runs in an interpreter of its own that has the package, see `churn.py`. ``ASKED.npz`` holds what
the law reads of training and test rows: repeated active days, days from the first to the last, and
days from the first until now (Fader, Hardie and Lee, Marketing Science 2005).
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


def frame(rows: np.ndarray) -> pd.DataFrame:
    """Return rows of (frequency, recency, T) as the package names them."""
    table = pd.DataFrame(rows, columns=["frequency", "recency", "T"])
    return table.assign(customer_id=np.arange(len(table)))


def main(asked: Path, answer: Path, days: int) -> None:
    """Fit by maximum a posteriori on the training rows, and answer for the test rows."""
    from pymc_marketing.clv import BetaGeoModel  # noqa: PLC0415 - a second, and not always there

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    with np.load(asked) as given:
        train, test = given["train"], given["test"]
    model = BetaGeoModel(data=frame(train))
    model.fit(method="map", progressbar=False)
    found = model.expected_probability_no_purchase(t=days, data=frame(test))
    np.save(answer, found.mean(("chain", "draw")).to_numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
