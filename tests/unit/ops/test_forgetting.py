from __future__ import annotations

import base64
import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from listening.systems import SYSTEMS
from ops import forgetting, store
from ops.cli.app import app

if TYPE_CHECKING:
    from conftest import Aws

ON_AWS = ("--profile", "work", "--env", "dev")
CAPTURE = "captures/listening-dev-endpoint/bundles/2026/01/02/03/04-05.jsonl"
FEATURES = "country/features/jr_1/listeners/split=train/region=nordics/part-0.parquet"


def captured(data: str, encoding: str = "JSON", kind: str = "application/json") -> str:
    body = {"data": data, "encoding": encoding, "observedContentType": kind}
    return json.dumps({"captureData": {"endpointInput": body}})


def asked(*users: str) -> str:
    return json.dumps({"listeners": [{"user_id": user, "top_artists": []} for user in users]})


@pytest.fixture
def kept(aws: Aws) -> Aws:
    """Keep listeners u and v wherever the stages keep them, in old versions too."""
    names = aws.connection.names
    for bucket in (names.data_bucket, names.models_bucket):
        aws.connection.s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    data = names.data_bucket
    users = 'user_id,country\nu,"Iceland, ""IS""\nand more"\nv,Chad\n'
    aws.put(data, "raw/b/users.csv.gz", gzip.compress(users.encode()))
    aws.put(data, "raw/b/top_artists.csv", b"rank,user_id,artist_name\n1,u,v\n2,u,Air\n1,v,u\n")
    aws.put(data, "raw/l/usersha1-artmbid-artname-plays.tsv", b'u\tm\tThe "A\t3\nv\tm\tu\t2\n')
    aws.put(data, "raw/b/_READY", b"")
    aws.put_table(data, FEATURES, {"user_id": ["u"], "features": [[1.0]]})  # an older version
    aws.put_table(data, FEATURES, {"user_id": ["u", "v"], "features": [[1.0], [2.0]]})
    aws.put_table(data, "country/embeddings/wr_1/artists/part-0.parquet", {"artist_key": ["u"]})
    aws.put_table(data, "country/scoring/jr_2/listeners/part-0.parquet", {"user_id": ["u", None]})
    aws.connection.s3.delete_object(
        Bucket=data, Key="country/scoring/jr_2/listeners/part-0.parquet"
    )
    coded = base64.b64encode(asked("u").encode()).decode()
    lines = [captured(asked("v", "u")), captured(asked("v")), captured(coded, "BASE64")]
    lines.append(captured("artist_name\nu\n", "CSV", "text/csv"))
    aws.put(names.models_bucket, CAPTURE, ("\n".join(lines) + "\n").encode())
    return aws


def call(*arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(app, ["data", "forget", "u", *arguments, *ON_AWS], input=stdin)


def test_a_listener_is_gone_from_every_version(kept: Aws) -> None:
    result = call("--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["removed"] == {
        "raw/": {"rows": 4, "versions": 3},
        "country/embeddings/": {"rows": 0, "versions": 0},
        "country/features/": {"rows": 2, "versions": 2},
        "country/scoring/": {"rows": 1, "versions": 1},
        "country/drift/": {"rows": 0, "versions": 0},
        **{
            f"{system.name}/{job.name}/": {"rows": 0, "versions": 0}
            for system in SYSTEMS.values()
            for job in system.jobs
            if system.name != "country"
        },
        "captures/": {"rows": 2, "versions": 1},
    }
    assert forgetting.find_listener(kept.connection, "u") == []
    assert "Nothing that can be read names listener u." in call("--yes").stdout


def test_everyone_else_stays_as_they_were(kept: Aws) -> None:
    before = {trace.key for trace in forgetting.find_listener(kept.connection, "v")}
    call("--yes")

    def read(key: str, bucket: str = kept.connection.names.data_bucket) -> bytes:
        return store.read_object(kept.connection, bucket, key)

    assert {trace.key for trace in forgetting.find_listener(kept.connection, "v")} == before
    assert gzip.decompress(read("raw/b/users.csv.gz")) == b"user_id,country\nv,Chad\n"
    assert read("raw/b/top_artists.csv") == b"rank,user_id,artist_name\n1,v,u\n"
    assert read("raw/l/usersha1-artmbid-artname-plays.tsv") == b"v\tm\tu\t2\n"
    rows = pq.read_table(io.BytesIO(read(FEATURES))).to_pylist()
    assert rows == [{"user_id": "v", "features": [2.0]}]
    lines = read(CAPTURE, kept.connection.names.models_bucket).decode().splitlines()
    assert lines == [
        captured(asked("v")),
        captured(asked("v")),
        captured("artist_name\nu\n", "CSV", "text/csv"),
    ]


def test_what_cannot_be_read_is_named_and_left(kept: Aws) -> None:
    data = kept.connection.names.data_bucket
    broken = {
        "raw/q/top_artists.csv": b'user_id,artist_name\nx,"Heroes\nu,Air\n',
        "raw/l1/users.csv": "user_id,country\nu,Österreich\n".encode("latin-1"),
        "raw/z/plays.zip": b"PK",
        "raw/n/users.parquet": b"not at all",
    }
    for key, content in broken.items():
        aws_put = kept.put(data, key, content)
        assert aws_put is None
    result = call("--yes")
    assert result.exit_code == 1
    assert "raw/ " in result.stdout
    assert "4 object versions cannot be read and were left as they are" in result.stderr
    for key, content in broken.items():
        assert f"s3://{data}/{key} (version" in result.stderr
        assert store.read_object(kept.connection, data, key) == content
    found = forgetting.find_listener(kept.connection, "u")
    assert {trace.key for trace in found} == set(broken)


def test_nothing_is_removed_without_a_yes(kept: Aws) -> None:
    refused = call(stdin="n\n")
    assert refused.exit_code == 1
    for place in ("raw/ 4", "country/features/ 2", "country/scoring/ 1", "captures/ 2"):
        assert place in refused.stderr
    assert sum(trace.rows for trace in forgetting.find_listener(kept.connection, "u")) == 9
    assert call(stdin="y\n").exit_code == 0
    assert forgetting.find_listener(kept.connection, "u") == []


def test_an_interrupted_removal_is_finished_by_the_next(
    kept: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = kept.connection.s3.delete_object
    traces = forgetting.find_listener(kept.connection, "u")

    def stop(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kept.connection.s3, "delete_object", stop)
    with pytest.raises(KeyboardInterrupt):
        forgetting.forget_listener(kept.connection, "u", traces)
    monkeypatch.setattr(kept.connection.s3, "delete_object", delete)
    rest = forgetting.find_listener(kept.connection, "u")
    assert [trace.rows for trace in rest] == [trace.rows for trace in traces]
    forgetting.forget_listener(kept.connection, "u", rest)
    assert forgetting.find_listener(kept.connection, "u") == []
