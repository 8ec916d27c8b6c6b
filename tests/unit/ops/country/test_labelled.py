from __future__ import annotations

from typing import TYPE_CHECKING

from ops.country import labelled
from ops.country.client import Artist

if TYPE_CHECKING:
    from conftest import Aws


def test_test_listeners_are_read_as_they_were_cleaned(aws: Aws) -> None:
    columns = {
        "user_id": ["u", "v"],
        "country": ["IS", "DE"],
        "total_scrobbles": [9.0, None],
        "artist_keys": [["björk", "air"], ["can"]],
        "playcounts": [[3.0, 2.0], None],
    }
    bucket = aws.connection.names.data_bucket
    aws.put_table(bucket, "country/features/jr_1/plays/split=test/part-0.parquet", columns)
    aws.put(bucket, "country/features/jr_1/plays/split=test/_SUCCESS", b"")
    first, second = labelled.test_listeners(aws.connection, "jr_1")
    assert first.country == "IS"
    assert first.listener.top_artists == [Artist("björk", 3.0), Artist("air", 2.0)]
    assert first.listener.total_scrobbles == 9
    assert second.listener.top_artists == [Artist("can")]
    assert second.listener.total_scrobbles is None
