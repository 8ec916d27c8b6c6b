from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Converted

    Convert = Callable[..., Converted]

EXPORTS = {
    "ghan.nl": "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\n"
    '"1577934240","02 Jan 2020, 03:04","Björk","m","Homogenic","","Jóga","t"\n',
    "benjaminbenben.com": '"Björk","Homogenic","Jóga","02 Jan 2020 03:04"\n',
    "benjaminbenben.com, with a comma": 'Björk,Homogenic,Jóga,"02 Jan 2020, 03:04"\n',
    "lastfmstats.com": "\ufeffArtist;Album;AlbumId;Track;Date#ann\n"
    '"Björk";"Homogenic";"";"Jóga";"1577934240000"\n',
    "names of columns": "Artist,Track,Album,Timestamp\nBjörk,Jóga,Homogenic,2020-01-02T03:04:00Z\n",
    "tabs": "time\tartist\ttitle\n2020-01-02 03:04\tBjörk\tJóga\n",
}


@pytest.mark.parametrize("exporter", EXPORTS)
def test_exports_of_the_common_exporters(converted: Convert, exporter: str) -> None:
    found = converted({"ann.csv": EXPORTS[exporter]})
    assert found.rows["plays"] == [
        {
            "user_id": "ann",
            "played_at": datetime(2020, 1, 2, 3, 4, tzinfo=UTC),
            "artist_name": "Björk",
            "track_name": "Jóga",
            **({"mbid": "m"} if "artist_mbid" in EXPORTS[exporter] else {}),
        }
    ]
    assert found.result.files[0].form == "Last.fm scrobbles"


def test_the_header_may_say_whose_it_is(converted: Convert) -> None:
    found = converted({"export.csv": EXPORTS["lastfmstats.com"]})
    assert found.result.files[0].listener == "ann"


def test_columns_without_a_place_are_named(converted: Convert) -> None:
    found = converted({"ann.csv": EXPORTS["ghan.nl"]})
    assert found.result.files[0].ignored == (
        "utc_time",
        "album",
        "album_mbid",
        "track_mbid",
    )


def test_damaged_rows_are_counted(converted: Convert) -> None:
    rows = [
        '"Björk","Homogenic","Jóga","02 Jan 2020 03:04"',
        '"Björk","Homogenic","Jóga",""',
        '"Björk","Homogenic","","02 Jan 2020 03:04"',
        '"","Homogenic","Jóga","02 Jan 2020 03:04"',
        '"Björk","Homogenic","Jóga","31 Feb 2020 03:04"',
        '"Björk","Homogenic"',
        '"Björk,"Homogenic","Jóga","02 Jan 2020 03:04"',
        "",
        '"Air","Moon ""Safari""","La femme","2 Jan 2020 03:04:05"',
    ]
    found = converted({"ann.csv": "\n".join(rows)})
    assert [play["artist_name"] for play in found.rows["plays"]] == ["Björk", "Air"]
    assert found.count("plays").rows_in == 8
    assert found.count("plays").dropped == {
        "no time": 1,
        "no track": 1,
        "no artist": 1,
        "not a time": 1,
        "wrong number of fields": 1,
        "broken quotes": 1,
    }


def test_a_quote_that_never_closes_costs_its_line_alone(converted: Convert) -> None:
    good = '"Björk","Homogenic","Jóga","02 Jan 2020 03:04"\n'
    found = converted({"ann.csv": good + good.replace('k"', "k", 1) + good * 5_000})
    assert len(found.rows["plays"]) == 5_001
    assert found.count("plays").dropped == {"broken quotes": 1}
