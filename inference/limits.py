"""How much a caller may ask for at once; more is answered with 413."""

from __future__ import annotations

MAX_LISTENERS = 100_000
MAX_ARTISTS = 1_000  # of one listener
MAX_PLAYS = 2_000_000  # rows of a parquet table
MAX_TEXT = 1_000  # characters of an artist's name, an MBID or a user id
MAX_COUNT = 1e12  # plays
MAX_PARQUET = 512 * 1024**2  # bytes once decompressed
