from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from listening.errors import ResourceError
from ops import store

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Aws


def test_runs_reports_and_scores_are_found(aws: Aws, tmp_path: Path) -> None:
    bucket = aws.connection.names.data_bucket
    aws.put(bucket, "country/features/latest.json", {"run": "jr_1"})
    assert store.latest_features_run(aws.connection, "country") == "jr_1"
    aws.register("a")
    assert store.evaluation(aws.connection, "a", system="country")["metrics"]["accuracy"] == 0.5
    report = tmp_path / "new" / "report.html"
    store.fetch_report(aws.connection, "a", system="country", to=report)
    assert report.read_text() == "<html>a"
    for part in ("0", "1"):
        aws.put_table(bucket, f"country/scoring/jr_2/{part}.parquet", {"user_id": [part]})
    assert store.scores(aws.connection, "jr_2", system="country").num_rows == 2


def test_what_is_missing_is_named(aws: Aws) -> None:
    with pytest.raises(ResourceError, match="there are no features of country yet"):
        store.latest_features_run(aws.connection, "country")
    with pytest.raises(ResourceError, match=r"scoring run jr_9 left nothing in s3://"):
        store.scores(aws.connection, "jr_9", system="country")
    aws.put(aws.connection.names.models_bucket, "reports/country/x/evaluation.json", b"[")
    with pytest.raises(ResourceError, match=r"evaluation.json is not JSON"):
        store.evaluation(aws.connection, "x", system="country")
