"""Listeners whose country is known: those of a features run's test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from listening.systems import COUNTRY
from ops import store
from ops.country.client import Artist, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.connection import Connection


@dataclass(frozen=True)
class LabelledListener:
    """A listener whose country is known."""

    listener: Listener
    country: str


def test_listeners(connection: Connection, run: str) -> Iterator[LabelledListener]:
    """Yield the listeners of a features run's test split with their cleaned plays."""
    columns = ["user_id", "country", "total_scrobbles", "artist_keys", "playcounts"]
    prefix = f"{store.features_prefix(COUNTRY.name)}{run}/plays/split=test/"
    for table in store.tables(connection, prefix):
        for row in table.select(columns).to_pylist():
            counts = row["playcounts"] or [None] * len(row["artist_keys"])
            artists = map(Artist, row["artist_keys"], counts)
            listener = Listener(list(artists), row["total_scrobbles"], str(row["user_id"]))
            yield LabelledListener(listener, row["country"])
