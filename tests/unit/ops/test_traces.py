"""Files without a listener: whatever is in them, nobody else is touched."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.errors import DataError
from ops import traces

IDS = st.sampled_from(["u", " u", "u ", "v", "u1", "", 'say "u"', "u,v", "7"])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)
ROWS = st.lists(st.tuples(IDS, TEXT), max_size=12)


def written(rows: list[tuple[str, str]], form: str, folder: Path) -> tuple[Path, str]:
    """Write rows as a table of a form and return its file and its key."""
    key = f"raw/b/users{form}"
    file = folder / f"users{form}"
    if form == ".parquet":
        pq.write_table(
            pa.table(
                {"country": [t for _, t in rows], "user_id": [u for u, _ in rows]},
                schema=pa.schema([("country", pa.string()), ("user_id", pa.string())]),
            ),
            file,
        )
        return file, key
    if form == ".tsv":
        lines = ["country\tuser_id", *(f"{t}\t{u}" for u, t in rows)]
        file.write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="")
        return file, key
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("country", "user_id"), *((t, u) for u, t in rows)])
    content = text.getvalue().encode()
    file.write_bytes(gzip.compress(content) if form.endswith(".gz") else content)
    return file, key


def read(file: Path) -> list[tuple[str, str]]:
    """Return the rows of a table of any form."""
    if file.suffix == ".parquet":
        return [(row["user_id"], row["country"]) for row in pq.read_table(file).to_pylist()]
    content = file.read_bytes()
    text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    if file.suffix == ".tsv":
        rows = [line.split("\t") for line in text.split("\n") if line]
    else:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    return [(user, country) for country, user in rows[1:]]


@pytest.mark.parametrize("form", [".csv", ".csv.gz", ".tsv", ".parquet"])
@given(rows=ROWS)
def test_one_listener_is_gone_and_every_other_row_is_there(
    form: str, rows: list[tuple[str, str]]
) -> None:
    if form == ".tsv":
        rows = [(u, "".join(c for c in t if c.isprintable() and c not in "\t\n")) for u, t in rows]
    with TemporaryDirectory() as scratch:
        file, key = written(rows, form, Path(scratch))
        theirs = [row for row in rows if row[0].strip() == "u"]
        assert traces.count(file, key, "u") == len(theirs)
        target = Path(scratch) / f"without-{file.name}"
        traces.write_without(file, key, "u", target)
        assert read(target) == [row for row in rows if row[0].strip() != "u"]
        assert traces.count(target, key, "u") == 0


def capture(*bodies: tuple[str, bytes, bool]) -> str:
    parts = {}
    for name, (kind, body, coded) in zip(("endpointInput", "endpointOutput"), bodies, strict=False):
        data = base64.b64encode(body).decode() if coded else body.decode()
        encoding = "BASE64" if coded else "JSON"
        parts[name] = {"observedContentType": kind, "data": data, "encoding": encoding}
    return json.dumps({"captureData": parts})


def listeners(*users: Any) -> bytes:
    return json.dumps(
        {"listeners": [{"user_id": user, "top_artists": []} for user in users]}
    ).encode()


def parquet(*users: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"user_id": list(users), "artist_name": ["u"] * len(users)}), buffer)
    return buffer.getvalue()


def lines(*users: str) -> bytes:
    return "".join(json.dumps({"user_id": user}) + "\n" for user in users).encode()


def csv_of(*users: str) -> bytes:
    return "".join(["user_id,artist_name\n", *(f"{user},u\n" for user in users)]).encode()


def csv_with_blanks(*users: str) -> bytes:
    """Return what the endpoint reads too: a byte order mark, blanks around names and ids."""
    rows = "".join(f"u, {user} \n" for user in users)
    return f"\ufeffartist_name, user_id\n{rows}".encode()


@pytest.mark.parametrize(
    ("kind", "body", "coded"),
    [
        ("application/json", listeners, False),
        ("application/json; charset=utf-8", listeners, True),
        ("application/jsonlines", lines, False),
        ("text/csv", csv_of, False),
        ("TEXT/CSV; k=3", csv_with_blanks, True),
        ("application/x-parquet", parquet, True),
    ],
)
def test_captures_of_every_type_lose_one_listener_alone(
    tmp_path: Path, kind: str, body: Any, coded: bool
) -> None:
    file = tmp_path / "captures.jsonl"
    both = capture(
        (kind, body("v", "u", "w"), coded), ("application/json", listeners("v", "u"), True)
    )
    kept = capture((kind, body("v", "w"), coded), ("application/json", listeners("v"), True))
    alone = capture((kind, body("u"), coded), ("application/json", listeners("u"), True))
    other = capture((kind, body("v"), coded), ("application/json", listeners("v"), True))
    file.write_text(f"{both}\n{alone}\n{other}\n")
    assert traces.count(file, "captures/x.jsonl", "u") == 4
    traces.write_without(file, "captures/x.jsonl", "u", tmp_path / "without.jsonl")
    left = (tmp_path / "without.jsonl").read_text().splitlines()
    assert len(left) == 2
    assert left[1] == other
    assert decoded(left[0]) == decoded(kept)


def decoded(line: str) -> list[Any]:
    """Return the ids of a capture's bodies."""
    found = []
    for part in json.loads(line)["captureData"].values():
        coded = part["encoding"] == "BASE64"
        body = base64.b64decode(part["data"]) if coded else part["data"].encode()
        if part["observedContentType"] == "application/x-parquet":
            found.append(pq.read_table(io.BytesIO(body)).to_pylist())
        else:
            found.append(body.decode("utf-8-sig").replace(" ", "").strip())
    return found


def test_an_answer_without_ids_goes_with_its_request(tmp_path: Path) -> None:
    file = tmp_path / "captures.jsonl"
    numbers = ("application/x-npy", b"\x93NUMPY", True)
    file.write_text(capture(("application/json", listeners("u", "v"), False), numbers) + "\n")
    traces.write_without(file, "captures/x.jsonl", "u", tmp_path / "without.jsonl")
    assert (tmp_path / "without.jsonl").read_text() == ""


def test_a_body_that_the_endpoint_refused_goes_if_the_id_stands_in_it(tmp_path: Path) -> None:
    file = tmp_path / "captures.jsonl"
    kept = capture(("application/json", b'{"user_id": "u1", ', False))
    file.write_text(capture(("application/json", b'{"user_id": "u", ', False)) + f"\n{kept}\n")
    assert traces.count(file, "captures/x.jsonl", "u") == 1
    traces.write_without(file, "captures/x.jsonl", "u", tmp_path / "without.jsonl")
    assert (tmp_path / "without.jsonl").read_text() == f"{kept}\n"


def test_ids_may_be_numbers_or_text_with_blanks(tmp_path: Path) -> None:
    for number, ids in enumerate((pa.array([7, 8]), pa.array([7.0, 8.0]), pa.array([" 7", "8 "]))):
        file = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"user_id": ids}), file)
        assert traces.count(file, "raw/b/users.parquet", "7") == 1


def test_a_quote_within_a_field_hides_nobody(tmp_path: Path) -> None:
    file = tmp_path / "top_artists.csv"
    file.write_text('user_id,artist_name\nv,7" Sound\nu,Air\nw,Air\n')
    assert traces.count(file, "raw/b/top_artists.csv", "u") == 1
    traces.write_without(file, "raw/b/top_artists.csv", "u", tmp_path / "without.csv")
    assert "u,Air" not in (tmp_path / "without.csv").read_text()
    assert read_csv(tmp_path / "without.csv") == [["v", '7" Sound'], ["w", "Air"]]


def read_csv(file: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_text())))[1:]


def test_an_id_that_is_no_text_and_no_number_is_named(tmp_path: Path) -> None:
    file = tmp_path / "users.parquet"
    pq.write_table(pa.table({"user_id": [["u"]], "country": ["Chad"]}), file)
    with pytest.raises(DataError, match="column 'user_id' is list"):
        traces.count(file, "raw/b/users.parquet", "u")
    pq.write_table(pa.table({"user_id": ["u"], "country": [["Chad"]]}), file, compression="brotli")
    assert traces.count(file, "raw/b/users.parquet", "u") == 1
