"""The artists that a bundle knows: found by name or MBID, each with its row of features.

A table is a handful of arrays. The endpoint maps them into memory, so that its processes share one
copy and nothing is parsed at start; the `features` job broadcasts them.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.errors import ArchiveError, LayoutError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from listening.country.layout import FeatureLayout

Floats = npt.NDArray[np.float32]

STORED_BLOCKS = ("vector", "affinity")
"""The feature blocks that are weighted sums over artists: `ArtistTable.matrix` holds their rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ArtistFeatures:
    """What listeners' features are computed from.

    Parameters
    ----------
    salience
        (A,) float32: how much an artist tells, its IDF times what it says about countries; 0 for an
        artist that has no affinity.
    matrix
        (A, width) float32: the columns of `STORED_BLOCKS` that the layout has, in its order, times
        the artist's salience.
    affinity_bias
        (countries,) float32.
    region_starts
        (regions,) int32: where each region's countries start among the affinity's columns.
    """

    salience: Floats
    matrix: Floats
    affinity_bias: Floats
    region_starts: npt.NDArray[np.int32]

    @property
    def size(self) -> int:
        """The number of artists."""
        return len(self.salience)

    def columns(self, layout: FeatureLayout) -> dict[str, slice]:
        """Return which columns of the matrix hold which of the layout's blocks.

        Raises
        ------
        LayoutError
            The layout's blocks do not fit this table.
        """
        places, start = {}, 0
        for block in layout.blocks:
            if block.name in STORED_BLOCKS:
                places[block.name] = slice(start, start + block.width)
                start += block.width
            if block.name == "affinity" and block.width != len(self.affinity_bias):
                raise LayoutError(
                    f"the layout has {block.width} affinities, the artist table "
                    f"{len(self.affinity_bias)}"
                )
            if block.name == "region_affinity" and block.width != len(self.region_starts):
                raise LayoutError(
                    f"the layout has {block.width} regions, the artist table "
                    f"{len(self.region_starts)}"
                )
        if start != self.matrix.shape[1]:
            raise LayoutError(
                f"the layout's artist blocks are {start} wide, the artist table's "
                f"{self.matrix.shape[1]}"
            )
        return places


@dataclass(frozen=True, kw_only=True, eq=False)
class ArtistTable(ArtistFeatures):
    """Artists with their keys, display names and what features are computed from.

    Parameters
    ----------
    key_hashes
        (A,) uint64, ascending: first 8 bytes of BLAKE2b of each key.
    key_ids
        (A,) int32: the row of each of these hashes.
    key_text, key_bounds
        All keys in UTF-8, one after the other, and their (A + 1,) bounds.
    name_text, name_bounds
        The display names likewise.
    mbid_high, mbid_low, mbid_ids
        (M,) halves of the MusicBrainz ids, ascending by the high one, and their rows.
    listeners
        (A,) int32: listeners of each artist.
    """

    key_hashes: npt.NDArray[np.uint64]
    key_ids: npt.NDArray[np.int32]
    key_text: npt.NDArray[np.uint8]
    key_bounds: npt.NDArray[np.int64]
    name_text: npt.NDArray[np.uint8]
    name_bounds: npt.NDArray[np.int64]
    mbid_high: npt.NDArray[np.uint64]
    mbid_low: npt.NDArray[np.uint64]
    mbid_ids: npt.NDArray[np.int32]
    listeners: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit each other, so that no look-up can go out of bounds."""
        size = len(self.key_hashes)
        lengths = {
            "key_ids": size,
            "key_bounds": size + 1,
            "name_bounds": size + 1,
            "listeners": size,
            "salience": size,
            "matrix": size,
            "mbid_low": len(self.mbid_high),
            "mbid_ids": len(self.mbid_high),
        }
        for name, length in lengths.items():
            found = len(getattr(self, name))
            if found != length:
                raise ArchiveError(f"artist table: {name} has {found} entries, expected {length}")
        if self.matrix.ndim != 2:
            raise ArchiveError(
                f"artist table: matrix has {self.matrix.ndim} dimensions, expected 2"
            )
        for name in ("key_ids", "mbid_ids"):
            ids = getattr(self, name)
            if len(ids) and not 0 <= ids.min() <= ids.max() < size:
                raise ArchiveError(f"artist table: {name} leads outside the {size} artists")

    def key(self, artist_id: int) -> str:
        """Return the key of an artist."""
        return _text(self.key_text, self.key_bounds, artist_id).decode()

    def name(self, artist_id: int) -> str:
        """Return the display name of an artist."""
        return _text(self.name_text, self.name_bounds, artist_id).decode()

    def lookup_keys(self, keys: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the rows of artists by `artist_key`; -1 for an unknown one."""
        encoded = [key.encode("utf-8", "replace") for key in keys]
        hashes = _hashes(encoded)
        places = np.searchsorted(self.key_hashes, hashes)
        ids = np.full(len(encoded), -1, dtype=np.int32)
        text = self.key_text.data
        wanted = np.arange(len(encoded))
        while len(wanted):  # once more where another key has the same hash
            wanted = wanted[places[wanted] < self.size]
            wanted = wanted[self.key_hashes[places[wanted]] == hashes[wanted]]
            found = self.key_ids[places[wanted]]
            starts, ends = self.key_bounds[found].tolist(), self.key_bounds[found + 1].tolist()
            same = np.array(
                [
                    text[start:end] == encoded[i]
                    for i, start, end in zip(wanted.tolist(), starts, ends, strict=True)
                ],
                dtype=bool,
            )
            ids[wanted[same]] = found[same]
            wanted = wanted[~same]
            places[wanted] += 1
        return ids

    def lookup_mbids(self, mbids: Sequence[str | None]) -> npt.NDArray[np.int32]:
        """Return the rows of artists by MusicBrainz id; -1 for an unknown or malformed one."""
        ids = np.full(len(mbids), -1, dtype=np.int32)
        for i, mbid in enumerate(mbids):
            halves = _halves(mbid)
            if halves is None:
                continue
            place = int(np.searchsorted(self.mbid_high, np.uint64(halves[0])))
            while place < len(self.mbid_high) and int(self.mbid_high[place]) == halves[0]:
                if int(self.mbid_low[place]) == halves[1]:
                    ids[i] = self.mbid_ids[place]
                    break
                place += 1
        return ids

    @classmethod
    def build(  # noqa: PLR0913 - one argument per column
        cls,
        *,
        keys: Sequence[str],
        names: Sequence[str],
        mbids: Sequence[str | None],
        listeners: npt.ArrayLike,
        salience: npt.ArrayLike,
        matrix: npt.ArrayLike,
        affinity_bias: npt.ArrayLike,
        region_starts: npt.ArrayLike,
    ) -> ArtistTable:
        """Make a table from one entry per artist; where two share an MBID, the more heard has it.

        Parameters
        ----------
        keys
            What `artist_key` gives for each, all different.
        names
            Display names.
        mbids
            MusicBrainz ids; None where there is none.
        listeners, salience, matrix, affinity_bias, region_starts
            As in the table.
        """
        encoded = [key.encode() for key in keys]
        hashes = _hashes(encoded)
        order = np.argsort(hashes, kind="stable")
        heard = np.asarray(listeners, dtype=np.int32)
        owners: dict[tuple[int, int], int] = {}
        for artist, mbid in enumerate(mbids):
            halves = _halves(mbid)
            if halves and (halves not in owners or heard[artist] > heard[owners[halves]]):
                owners[halves] = artist
        by_mbid = sorted(owners.items())
        key_text, key_bounds = _pack(encoded)
        name_text, name_bounds = _pack([name.encode() for name in names])
        return cls(
            key_hashes=hashes[order],
            key_ids=order.astype(np.int32),
            key_text=key_text,
            key_bounds=key_bounds,
            name_text=name_text,
            name_bounds=name_bounds,
            mbid_high=np.array([high for (high, _), _ in by_mbid], dtype=np.uint64),
            mbid_low=np.array([low for (_, low), _ in by_mbid], dtype=np.uint64),
            mbid_ids=np.array([artist for _, artist in by_mbid], dtype=np.int32),
            listeners=heard,
            salience=np.asarray(salience, dtype=np.float32),
            matrix=np.ascontiguousarray(matrix, dtype=np.float32),
            affinity_bias=np.asarray(affinity_bias, dtype=np.float32),
            region_starts=np.asarray(region_starts, dtype=np.int32),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the table's arrays by name, for writing."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ArtistTable:
        """Make a table of what `to_arrays` returned; arrays may be mapped into memory.

        Raises
        ------
        ArchiveError
            An array is missing, or they do not fit each other.
        """
        missing = sorted({field.name for field in fields(cls)} - set(arrays))
        if missing:
            raise ArchiveError(f"artist table: no {', '.join(missing)}")
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def read_artist_table(artists: Path, manifest: Mapping[str, Any]) -> ArtistTable:
    """Read the artist table of a features run.

    Parameters
    ----------
    artists
        The folder ``features/<run>/artists/``.
    manifest
        That run's manifest.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - the endpoint reads bundles, not parquet

    table = pq.read_table(artists).sort_by("artist_id")
    columns = {name: table.column(name) for name in table.column_names}
    matrix = columns["matrix"].combine_chunks().flatten().to_numpy()
    constants = manifest["artist_constants"]
    return ArtistTable.build(
        keys=columns["artist_key"].to_pylist(),
        names=columns["artist_name"].to_pylist(),
        mbids=columns["mbid"].to_pylist(),
        listeners=columns["listeners"].to_numpy(),
        salience=columns["salience"].to_numpy(),
        matrix=matrix.reshape(table.num_rows, -1),
        affinity_bias=constants["affinity_bias"],
        region_starts=constants["region_starts"],
    )


def _hashes(keys: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    digests = b"".join([hashlib.blake2b(key, digest_size=8).digest() for key in keys])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def _halves(mbid: str | None) -> tuple[int, int] | None:
    """Return the two 64-bit halves of a MusicBrainz id; None for a malformed one."""
    try:
        value = uuid.UUID(mbid or "").int
    except (ValueError, AttributeError):
        return None
    return value >> 64, value & (2**64 - 1)


def _pack(texts: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    bounds = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=bounds[1:])
    return np.frombuffer(b"".join(texts), dtype=np.uint8), bounds


def _text(text: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64], i: int) -> bytes:
    return text[bounds[i] : bounds[i + 1]].tobytes()
