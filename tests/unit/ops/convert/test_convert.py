from __future__ import annotations

import gzip
import json
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.cli.app import app
from ops.convert import convert, writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]

DATA = Path(os.environ.get("LISTENING_DATA", Path(__file__).parents[5] / "shared" / "data"))
PLAYS = "user_id,played_at,track_id\n" + "u,2020-01-01 10:00,t\n" * 25


def test_what_is_not_recognised_is_named_with_why(converted: Convert) -> None:
    found = converted(
        {
            "plays.csv": PLAYS,
            "notes.txt": "remember the milk\n",
            "Playlist1.json": {"playlists": []},
            "empty.csv": "",
            "picture.png": b"\x89PNG\0\0\0",
            ".DS_Store": "x",
            "truncated.csv.gz": gzip.compress(PLAYS.encode())[:-20],
        }
    )
    why = found.result.not_recognised
    assert why["notes.txt"] == "its first row belongs to no form or table: remember the milk"
    assert why["Playlist1.json"] == "its JSON is no streaming history and no list of listens"
    assert why["empty.csv"] == "it is empty"
    assert why["picture.png"].startswith("it is neither text nor parquet")
    assert why[".DS_Store"] == "its name begins with a dot or an underscore"
    assert why["truncated.csv.gz"].startswith("it cannot be read: ")
    assert len(why) == 6


def test_counts_are_written_beside_the_tables(converted: Convert, tmp_path: Path) -> None:
    found = converted({"plays.csv": PLAYS, "notes.txt": "x\n"})
    written = json.loads((tmp_path / "out" / "convert.json").read_text())
    assert written["tables"] == {
        "plays": {"rows_in": 25, "rows_out": 25, "dropped": {}, "emptied": {}}
    }
    assert written["not_recognised"] == found.result.not_recognised
    assert written["files"][0]["form"] == "table plays"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "there is no such file or folder"),
        ({"notes.txt": "x\n"}, r"nothing in it is recognised \(notes.txt: its first row"),
        (
            {"plays.csv": "user_id,time,track_id\n,,\n"},
            r"no row of it can be used \(no listener: 1",
        ),
    ],
)
def test_a_source_of_no_use_is_an_error_and_leaves_nothing(
    converted: Convert, tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        converted(files)
    assert [path.name for path in tmp_path.iterdir()] == ["source"][: len(files)]


def test_a_file_damaged_in_its_middle_fails_the_whole(converted: Convert, tmp_path: Path) -> None:
    rows = "user_id,played_at,track_id\n" + "".join(
        f"u,2020-01-01 10:00,{os.urandom(20).hex()}\n" for _ in range(20_000)
    )
    content = gzip.compress(rows.encode())
    with pytest.raises(DataError, match=r"plays.csv.gz cannot be read to its end"):
        converted({"plays.csv.gz": content[: len(content) // 2]})
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "plays.csv").write_text(PLAYS)
    out = tmp_path / "out"
    out.mkdir()
    convert(tmp_path / "plays.csv", out)
    before = sorted(out.rglob("*"))
    with pytest.raises(DataError, match="is there already and not empty; name another folder"):
        convert(tmp_path / "plays.csv", out)
    assert sorted(out.rglob("*")) == before


def test_parts_hold_a_limited_number_of_rows(
    converted: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PART_ROWS", 10)
    monkeypatch.setattr(writer, "GROUP_ROWS", 4)
    converted({"plays.csv": PLAYS})
    parts = sorted((tmp_path / "out" / "plays").iterdir())
    assert [pq.read_metadata(part).num_rows for part in parts] == [10, 10, 5]
    assert pq.read_metadata(parts[0]).row_group(0).column(0).compression == "ZSTD"


def test_tables_of_several_files_have_the_columns_of_all(converted: Convert) -> None:
    found = converted(
        {"a.csv": PLAYS, "b.csv": "user_id,ended_at,track_id,device\nv,2020-01-01,t,phone\n"}
    )
    assert list(found.rows["plays"][0]) == [
        "user_id",
        "played_at",
        "ended_at",
        "track_id",
        "device",
    ]
    assert found.rows["plays"][25]["played_at"] is None


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("latin-1", "latin-1")]
)
def test_encodings_are_read_and_said(converted: Convert, encoding: str, said: str) -> None:
    text = "user_id,played_at,artist,track\r\nu,2020-01-01,Björk,Jóga\r\n"
    found = converted({"plays.csv": text.encode(encoding)})
    assert found.rows["plays"][0]["artist_name"] == "Björk"
    assert found.result.files[0].encoding == said


def test_a_line_that_is_not_utf8_among_others_is_dropped(converted: Convert) -> None:
    good = "u,2020-01-01,Björk,Jóga\n".encode()
    header = b"user_id,played_at,artist,track\n"
    found = converted({"plays.csv": header + good * 3 + b"u,2020-01-01,Bj\xf6rk,x\n" + good})
    assert len(found.rows["plays"]) == 4
    assert found.count("plays").dropped == {"not UTF-8": 1}


def test_the_command_says_what_became_of_every_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "plays.csv").write_text(PLAYS + "u,never,t\n")
    (source / "notes.txt").write_text("x\n")
    arguments = ["data", "convert", str(source), "--out"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "a")])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    for said in (
        "table plays",
        "26 │ 25 │ not a time 1",
        "notes.txt: its first row",
        "convert.json",
    ):
        assert said in text
    document = json.loads(
        CliRunner().invoke(app, [*arguments, str(tmp_path / "b"), "--json"]).stdout
    )
    assert document["tables"]["plays"]["dropped"] == {"not a time": 1}
    wrong = CliRunner().invoke(app, [*arguments, str(tmp_path / "c"), "--date", "yesterday"])
    assert wrong.exit_code == 2


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("listening_log", {"plays": (2_131_757, {})}),
        ("kaggle_sample", {"top_artists": (19_950, {})}),
        (
            "musicbox",
            {
                "plays": (997, {"wrong number of fields": 3}),
                "events": (1_992, {"wrong number of fields": 8}),
            },
        ),
    ],
)
def test_real_data_is_converted(
    tmp_path: Path, name: str, rows: dict[str, tuple[int, dict[str, int]]]
) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there: real plays are no part of the repository")
    result = convert(DATA / name, tmp_path / "out", date=date(2017, 3, 30))
    for table, (rows_out, dropped) in rows.items():
        assert result.tables[table].rows_out == rows_out
        assert result.tables[table].dropped == dropped
        parts = list((tmp_path / "out" / table).iterdir())
        assert sum(pq.read_metadata(part).num_rows for part in parts) == rows_out


def test_what_is_made_of_invented_listeners_is_marked_as_invented(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / SYNTHETIC).write_text('{"seed": 1}')
    (source / "user_top_artists.csv").write_text("user_id,rank,artist_name\na,1,Air\n")
    result = convert(source, tmp_path / "out")
    assert (tmp_path / "out" / SYNTHETIC).read_text() == '{"seed": 1}'
    assert result.not_recognised == {}
