"""The check and the jobs agree on every generated folder: on refusals, rows, values and counts."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import io
import json
import random
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from listening.errors import DataError
from listening.log.parts import read_part
from listening.log.raw_formats import file_format, recognise
from listening.log.tables import TABLES
from listening.log.values import read
from ops.raw_folder import _batches, _files, check_folder

if TYPE_CHECKING:
    from tests.unit.glue_jobs.conftest import RunGlue

pytestmark = pytest.mark.spark

TEXTS = [
    *(
        "Air",
        " Air ",
        'Say "hi"',
        '"',
        '12" Mix',
        "a,b",
        "two\nlines",
        "back\\slash",
        'back\\"quote',
    ),
    *(
        "tab\there",
        "",
        "  ",
        "Sigur Rós",
        "\u200b",
        "美空ひばり",
        "'",
        "#hash",
        "NULL",
        "\ufeffBom",
    ),
]
IDS = ["u1", " u1", "u2 ", "u3", "7", "7.0", "", " ", "ü4"]
NUMBERS = [
    "1",
    "12,034",
    "12.034",
    "n/a",
    "",
    "-1",
    "+5",
    "1e3",
    "1e999",
    ".5",
    "12d",
    "0x1F",
    "NaN",
]
TIMES = [
    *("2020-01-02", "2020-01-02T03:04:05Z", "2020-01-02 03:04:05.123456+05:30", "2020-02-30"),
    *("1600000000", "1600000000123", "yesterday", "", "1999-12-31T23:59:59Z", "2199-01-01"),
    *("2021-06-01T24:00:00", "2021-06-01T10:11", "2021-06-01 10:11:12,5 +0200"),
]
WORDS = {"id": IDS, "text": TEXTS, "integer": NUMBERS, "number": NUMBERS, "time": TIMES}
LATEST = datetime.datetime(2024, 1, 1)


def typed(kind: str, rng: random.Random, n: int) -> pa.Array:
    """Return a column of a kind as one of the types in which writers write it."""
    integers = [rng.choice([0, 1, 7, 12, None]) for _ in range(n)]
    stamps = [
        rng.choice([LATEST - datetime.timedelta(seconds=rng.randrange(10**8)), None])
        for _ in range(n)
    ]
    match kind:
        case "text":
            return rng.choice(
                [
                    pa.array([rng.choice([*TEXTS, None]) for _ in range(n)]),
                    pa.array([rng.choice(TEXTS) for _ in range(n)], pa.large_string()),
                    pa.array([rng.choice(TEXTS) for _ in range(n)]).dictionary_encode(),
                    pa.nulls(n),
                    pa.array([None] * n, pa.float64()),
                ]
            )
        case "time":
            return rng.choice(
                [
                    pa.array(stamps, pa.timestamp("ns")),
                    pa.array(stamps, pa.timestamp("us", tz="UTC")),
                    pa.array(stamps, pa.timestamp("ms", tz="Europe/Berlin")),
                    pa.array(stamps, pa.timestamp("s")),
                    pa.array([s and s.date() for s in stamps], pa.date32()),
                    pa.array([s and int(s.timestamp()) for s in stamps], pa.int64()),
                    pa.array([s and s.timestamp() * 1000 for s in stamps], pa.float64()),
                    pa.array([rng.choice(TIMES) for _ in range(n)]),
                ]
            )
        case _:
            return rng.choice(
                [
                    pa.array(integers, rng.choice([pa.int8(), pa.int16(), pa.int32(), pa.int64()])),
                    pa.array(
                        integers, rng.choice([pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()])
                    ),
                    pa.array(integers, pa.float32()),
                    pa.array(
                        [i if i is None else i + rng.choice([0, 0, 0.5]) for i in integers],
                        pa.float64(),
                    ),
                    pa.array([i and decimal.Decimal(i) for i in integers], pa.decimal128(9, 2)),
                    pa.array([i and decimal.Decimal(i) for i in integers], pa.decimal128(20, 0)),
                    pa.array([rng.choice(WORDS[kind]) for _ in range(n)]),
                ]
            )


UNUSED = {
    "uuid": pa.array([uuid.UUID(int=1).bytes], pa.binary(16)),
    "list": pa.array([[1, 2]]),
    "half": pa.array([1.0], pa.float16()),
    "clock": pa.array([1], pa.time64("us")),
    "span": pa.array([1], pa.duration("s")),
    "flag": pa.array([True]),
    "blob": pa.array([b"x"]),
    "wide": pa.array([decimal.Decimal(1)], pa.decimal256(50, 0)),
}
"""Columns that no table has, of types that Spark does not know."""


def parquet(columns: list[str], table: str, rng: random.Random, n: int) -> bytes:
    content = {name: typed(TABLES[table][name].kind, rng, n) for name in columns}
    for name in TABLES[table].needed:
        if name in content and pa.types.is_null(content[name].type):
            content[name] = pa.array([rng.choice(TEXTS) for _ in range(n)])
    extra = rng.choice([None, *UNUSED])
    if extra:
        content[extra] = UNUSED[extra].take(pa.array([0] * n))
    buffer = io.BytesIO()
    plain = pa.table({n: values for n, values in content.items() if n not in ("wide", "span")})
    match rng.choice(["pandas", "polars", "duckdb", "arrow", "arrow"]):
        case "pandas":
            codec = rng.choice(["snappy", "gzip", "zstd", "lz4", None])
            plain.to_pandas().to_parquet(buffer, compression=codec)
            return buffer.getvalue()
        case "polars" if extra is None:
            codec = rng.choice(["snappy", "gzip", "zstd", "lz4", "uncompressed"])
            pl.DataFrame(plain).write_parquet(buffer, compression=codec)
            return buffer.getvalue()
        case "duckdb" if extra is None:
            return by_duckdb(plain, rng.choice(["snappy", "zstd", "gzip", "lz4", "uncompressed"]))
    pq.write_table(
        pa.table(content),
        buffer,
        compression=rng.choice(["snappy", "zstd", "gzip", "lz4", "none", "brotli"]),
        version=rng.choice(["1.0", "2.4", "2.6"]),
        data_page_version=rng.choice(["1.0", "2.0"]),
        use_dictionary=rng.random() < 0.7,
        store_schema=rng.random() < 0.7,
        use_deprecated_int96_timestamps=rng.random() < 0.1,
    )
    return buffer.getvalue()


def by_duckdb(table: pa.Table, codec: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"
        connection = duckdb.connect()
        connection.register("rows_", table)
        connection.execute(f"COPY (SELECT * FROM rows_) TO '{path}' (CODEC '{codec}')")
        return path.read_bytes()


def text(columns: list[str], table: str, rng: random.Random, n: int) -> bytes:
    rows = [[rng.choice(WORDS[TABLES[table][c].kind]) for c in columns] for _ in range(n)]
    buffer = io.StringIO()
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    end = rng.choice(["\n", "\r\n"])
    csv.writer(buffer, quoting=quoting, lineterminator=end).writerows([columns, *rows])
    content = rng.choice(["", "", "\ufeff"]) + buffer.getvalue()
    match rng.randrange(12):
        case 0:  # by hand: quotes that nobody doubled
            lines = [",".join(columns), *(",".join(row) for row in rows)]
            content = "\n".join(lines) + "\n"
        case 1:
            content = content.rstrip("\r\n")
        case 2:
            content += "\n\n"
        case 3:
            return content.encode("latin-1", errors="replace")
    return content.encode()


def folder_of(place: Path, rng: random.Random) -> None:
    """Write a folder of one or two tables, in parts with columns of their own."""
    for table in rng.choice([["top_artists", "users"], ["plays"], ["ratings", "events"]]):
        described = TABLES[table]
        alternatives = [rng.choice(group) for group in described.one_of]
        for part in range(rng.choice([1, 1, 2, 3])):
            optional = [c for c in described.names if rng.random() < 0.5]
            columns = list(dict.fromkeys([*described.needed, *alternatives, *optional]))
            rng.shuffle(columns)
            n = rng.choice([1, 5, 30])
            if rng.random() < 0.5:
                content, suffix = parquet(columns, table, rng, n), ".parquet"
            else:
                content, suffix = text(columns, table, rng, n), ".csv"
                if rng.random() < 0.2:
                    content, suffix = gzip.compress(content), ".csv.gz"
            path = place / table / f"part-{part}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def rows_of(place: Path) -> dict[str, list[dict[str, str]]]:
    """Return the rows of a folder's tables as the check reads them."""
    tables = {}
    for name, raw in recognise([path.name for path in place.iterdir()], source="x").items():
        tables[name] = []
        for path in _files(place / raw.name):
            form = file_format(path.name)
            assert form
            with path.open("rb") as file:
                used = read_part(file, source=str(path), format_=form).used(TABLES[name])
            for batch in _batches(path, used, raw):
                columns = {
                    c: read(batch.column(c), TABLES[name][c].kind) for c in batch.schema.names
                }
                for row in pa.table(columns).to_pylist():
                    tables[name].append({k: as_text(v) for k, v in row.items() if v is not None})
    return tables


def as_text(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return str(value.replace(tzinfo=None))
    return str(value)


FOLDERS = 30


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, run_glue: RunGlue) -> Any:
    root = tmp_path_factory.mktemp("agreement")
    for seed in range(FOLDERS):
        folder_of(root / "raw" / f"b{seed}", random.Random(seed))
    ended = run_glue(
        "tests/unit/glue_jobs/count_batches.py",
        root.as_uri(),
        *(f"b{seed}" for seed in range(FOLDERS)),
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return root / "raw", json.loads(ended.stdout.splitlines()[-1])


def plain(rows: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted((k, v) for k, v in row.items() if v.strip()) for row in rows)


@pytest.mark.parametrize("seed", range(FOLDERS))
def test_what_passes_the_check_is_what_the_jobs_read(counted: Any, seed: int) -> None:
    root, found = counted
    place, jobs = root / f"b{seed}", found[f"b{seed}"]
    try:
        checked = check_folder(place)
    except DataError as error:
        if "is among those of users" not in str(error):
            return  # what the check refuses, the jobs may read as they like
        checked = None
    assert not isinstance(jobs, str), jobs
    read_here = rows_of(place)
    for name, rows in read_here.items():
        assert plain(jobs[name][:-1]) == plain(rows), name
    if checked is None:
        return
    if "plays" in checked.tables:
        counts = checked.tables["plays"]
        assert jobs["plays"][-1]["rows_in"] == counts.rows
        dropped = {k: v for k, v in jobs["plays"][-1]["dropped"].items() if v and k != "repeated"}
        assert dropped == dict(counts.dropped)
    if "top_artists" in checked.tables:
        country = jobs["country"]
        for job, name in (("plays", "top_artists"), ("users", "users")):
            counts = checked.tables[name]
            assert country[job]["rows_in"] == counts.rows
            assert country[job]["dropped"]["no_user_id"] == counts.dropped["no_user_id"]
        nameless = checked.tables["top_artists"].dropped["no_artist_name"]
        plays = country["plays"]["dropped"]  # of a nameless row that is repeated, that counts first
        most = plays["no_artist_name"] + plays["repeated"] + plays["negative_playcount"]
        assert plays["no_artist_name"] <= nameless <= most
        users = country["users"]
        different = users["rows_in"] - users["dropped"]["no_user_id"] - users["dropped"]["repeated"]
        assert different == checked.listeners


def test_most_folders_pass_and_many_kinds_are_refused(counted: Any) -> None:
    root, _ = counted
    refused = []
    for seed in range(FOLDERS):
        try:
            check_folder(root / f"b{seed}")
        except DataError as error:
            refused.append(str(error))
    for kind in ("not UTF-8", "fields, expected", "compressed by brotli"):
        assert any(kind in reason for reason in refused), kind
