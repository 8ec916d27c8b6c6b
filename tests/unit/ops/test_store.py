from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from listening.errors import ResourceError
from ops import store
from ops.country.client import Artist

if TYPE_CHECKING:
    from pathlib import Path

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
    aws.put_table(bucket, "features/jr_1/plays/split=test/part-0.parquet", columns)
    aws.put(bucket, "features/jr_1/plays/split=test/_SUCCESS", b"")
    first, second = store.test_listeners(aws.connection, "jr_1")
    assert first.country == "IS"
    assert first.listener.top_artists == [Artist("björk", 3.0), Artist("air", 2.0)]
    assert first.listener.total_scrobbles == 9
    assert second.listener.top_artists == [Artist("can")]
    assert second.listener.total_scrobbles is None


def test_runs_reports_and_scores_are_found(aws: Aws, tmp_path: Path) -> None:
    bucket = aws.connection.names.data_bucket
    aws.put(bucket, "features/latest.json", {"run": "jr_1"})
    assert store.latest_features_run(aws.connection) == "jr_1"
    aws.register("a")
    assert store.evaluation(aws.connection, "a")["metrics"]["accuracy"] == 0.5
    store.fetch_report(aws.connection, "a", tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text() == "<html>a"
    for part in ("0", "1"):
        aws.put_table(bucket, f"scores/jr_2/{part}.parquet", {"user_id": [part]})
    assert store.scores(aws.connection, "jr_2").num_rows == 2


def test_what_is_missing_is_named(aws: Aws) -> None:
    with pytest.raises(ResourceError, match="there are no features yet"):
        store.latest_features_run(aws.connection)
    with pytest.raises(ResourceError, match=r"scoring run jr_9 left nothing in s3://"):
        store.scores(aws.connection, "jr_9")
    aws.put(aws.connection.names.models_bucket, "reports/x/evaluation.json", b"[")
    with pytest.raises(ResourceError, match=r"evaluation.json is not JSON"):
        store.evaluation(aws.connection, "x")
