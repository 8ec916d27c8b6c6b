from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from glue_jobs.country.affinity import NORM_POWER, Regression, fit
from glue_jobs.country.features import Parameters
from glue_jobs.country.packing import LocalListeners, PackedListeners
from glue_jobs.country.svd import artist_vectors, idf
from listening.countries import country_code
from listening.country.splits import SPLITS
from listening.names import artist_key
from listening.regions import default_regions

DATA = Path(os.environ.get("LISTENING_DATA", Path(__file__).parents[4].parent / "shared" / "data"))


@pytest.mark.real_data
def test_accuracy_is_within_half_a_percent_of_scikit_learn() -> None:
    folder = DATA / "lastfm_listeners"
    if not folder.exists():
        pytest.skip(f"{folder} is not there: real listeners are no part of the repository")
    users = pq.read_table(folder / "users.parquet").to_pydict()
    plays = pq.read_table(folder / "top_artists.parquet").to_pydict()
    codes = [country_code(label) for label in users["country"]]
    kept = [code for code, n in Counter(codes).items() if code and n >= 50]
    table = default_regions().restricted_to(set(kept))
    countries = [country for region in table.regions for country in region.countries]
    place = {country: i for i, country in enumerate(countries)}
    row = {user: i for i, user in enumerate(users["user_id"])}
    keys, columns = np.unique([artist_key(n) for n in plays["artist_name"]], return_inverse=True)
    rows = np.array([row[user] for user in plays["user_id"]])
    shape = (len(row), len(keys))
    matrix = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape)
    labels = np.array([place.get(code, -1) for code in codes], dtype=np.int16)
    rng = np.random.default_rng(0)
    splits = rng.choice(SPLITS, len(row), p=(0.8, 0.1, 0.1))
    train, validation = (
        np.flatnonzero((labels >= 0) & (splits == split)) for split in ("train", "validation")
    )
    folds = rng.integers(3, size=len(row), dtype=np.int16)
    frequency = np.asarray((matrix > 0).sum(axis=0)).ravel()
    everybody = LocalListeners([PackedListeners(matrix, labels, folds)], len(keys))
    vectors = artist_vectors(
        everybody, idf(frequency, len(row)), dimensions=64, iterations=4, seed=1
    )
    chosen = Parameters()
    fitted = fit(
        LocalListeners([PackedListeners(matrix[train], labels[train], folds[train])], len(keys)),
        vectors,
        Regression(
            regions=np.array([i for i, r in enumerate(table.regions) for _ in r.countries]),
            folds=3,
            strength=chosen.strength,
            iterations=chosen.iterations,
            tolerance=1e-4,
            min_listeners=chosen.min_listeners,
        ),
    )
    energy = matrix.multiply(matrix) @ np.square(fitted.salience[-1])
    logits = matrix @ (fitted.weights[-1] * fitted.salience[-1][:, None])
    logits = logits / energy[:, None] ** NORM_POWER + fitted.bias[-1]
    mine = (logits[validation].argmax(axis=1) == labels[validation]).mean()

    weigh = TfidfTransformer().fit(matrix[train])
    peer = LogisticRegression(C=3, max_iter=300).fit(weigh.transform(matrix[train]), labels[train])
    theirs = peer.score(weigh.transform(matrix[validation]), labels[validation])
    assert mine >= theirs - 0.005
