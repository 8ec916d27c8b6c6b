"""Artist vectors: truncated SVD of the listeners × artists TF-IDF matrix, over Spark.

Randomized subspace iteration (Halko, Martinsson, Tropp 2011) on XᵀX: each iteration is one pass
over the listeners and the sum of one artists × dimensions matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glue_jobs.country.packing import Listeners, PackedListeners

Floats = npt.NDArray[np.float32]

OVERSAMPLING = 16


def idf(document_frequency: npt.NDArray[np.int64], documents: int) -> Floats:
    """Return the smooth inverse document frequency, ln((1 + n) / (1 + df)) + 1."""
    frequency: Floats = (np.log((1 + documents) / (1 + document_frequency)) + 1).astype(np.float32)
    return frequency


def artist_vectors(
    packed: Listeners,
    weights: Floats,
    *,
    dimensions: int,
    iterations: int,
    seed: int,
) -> Floats:
    """Return the leading right singular vectors of the L2-normalised TF-IDF matrix.

    Parameters
    ----------
    packed
        Packed listeners.
    weights
        (n_artists,) IDF of each artist.
    dimensions
        How many; no more than there are artists.
    iterations
        Passes over the listeners.
    seed
        Of the random start.

    Returns
    -------
    numpy.ndarray
        (n_artists, dimensions) with orthonormal columns, by falling singular value; the largest
        entry of each column is positive.
    """
    artists = len(weights)
    width = min(dimensions + OVERSAMPLING, artists)
    basis = np.random.default_rng(seed).standard_normal((artists, width)).astype(np.float32)
    for _ in range(iterations):
        basis = np.linalg.qr(basis)[0].astype(np.float32)
        image = packed.sum(_gram, (artists, width), (basis, weights))
        inner = basis.T @ image
        values, rotation = np.linalg.eigh((inner + inner.T) / 2)
        basis = image @ rotation[:, ::-1] / np.sqrt(np.maximum(values[::-1], 1e-12))
    vectors = np.linalg.qr(basis)[0][:, :dimensions]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    signed: Floats = (vectors * signs).astype(np.float32)
    return signed


def _gram(rows: Iterator[PackedListeners], shared: tuple[Floats, Floats]) -> Floats:
    """Return XᵀX times the basis for these rows of X."""
    basis, weights = shared
    total = np.zeros_like(basis)
    for listeners in rows:
        matrix = _normalised(listeners.plays, weights)
        total += matrix.T @ (matrix @ basis)
    return total


def _normalised(plays: sparse.csr_matrix, weights: Floats) -> sparse.csr_matrix:
    """Return TF-IDF rows of length 1."""
    data = plays.data * weights[plays.indices]
    rows = np.repeat(np.arange(plays.shape[0]), np.diff(plays.indptr))
    lengths = np.sqrt(np.bincount(rows, weights=np.square(data), minlength=plays.shape[0]))
    data = (data / np.maximum(lengths, 1e-12)[rows]).astype(np.float32)
    return sparse.csr_matrix((data, plays.indices, plays.indptr), plays.shape)
