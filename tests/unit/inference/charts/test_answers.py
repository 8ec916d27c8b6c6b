"""What the endpoint answers about what is hot, and what it refuses and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from inference.handlers import load_handler
from listening.archive import ArchiveWriter, load, write_prior
from listening.charts.bundle import BUNDLE, ChartsBundle, Lists, Track
from listening.charts.parts import HALF_LIVES, PARTS, WINDOWS
from listening.errors import ArchiveError, RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from inference.handlers import Handler


def track(number: int, **more: Any) -> Track:
    return Track(
        f"t{number}", f"Artist {number}", f"Song {number}", 100.0 - number,
        dict.fromkeys(PARTS, 3.0), **more,
    )  # fmt: skip


WORLD = tuple(track(number) for number in range(30))
BRAZIL = (
    track(7, previous_rank=2),
    track(1, is_new=True, is_rising=True),
    Track(None, None, None, 1.0, dict.fromkeys(PARTS, 2.0)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    lists = Lists(
        tracks={
            "week": {"world": WORLD, "BR": BRAZIL, "east-asia": WORLD[5:]},
            "month": {"world": WORLD},
        },
        method="decayed",
        half_lives=HALF_LIVES,
        end=19_900,
        windows=WINDOWS,
    )
    writer = ArchiveWriter(folder)
    writer.finish(BUNDLE, lists.write(writer), check=ChartsBundle)
    return folder


@pytest.fixture(scope="module")
def handler(folder: Path) -> Handler:
    return load_handler(folder)


def ask(handler: Handler, **question: Any) -> dict[str, Any]:
    return dict(json.loads(handler.answer(json.dumps(question).encode(), "", "")[0]))


def test_the_list_of_a_country(handler: Handler) -> None:
    found = ask(handler, window="week", country="Brazil", k=2)
    assert (found["window"], found["place"], found["method"]) == ("week", "BR", "decayed")
    assert (found["from"], found["until"]) == ("2024-06-19", "2024-06-25")
    first, second = found["tracks"]
    assert (first["rank"], first["track_id"], first["previous_rank"]) == (1, "t7", 2)
    assert (second["new"], second["rising"], second["listeners"]) == (True, True, 3)
    assert set(first["parts"]) == set(PARTS)
    assert "notes" not in found
    assert found["prior"] is False


def test_a_country_without_a_list_gets_its_regions_or_the_worlds(handler: Handler) -> None:
    found = ask(handler, country="JP")
    assert (found["place"], found["tracks"][0]["track_id"]) == ("east-asia", "t5")
    assert found["notes"] == ["country: JP has no list of its own; this is east-asia's"]
    found = ask(handler, country="DE")
    assert found["place"] == "world"
    assert found["notes"] == ["country: DE has no list of its own; this is world's"]
    assert "notes" not in ask(handler, window="month")


def test_what_a_listener_has_heard_is_left_out(handler: Handler) -> None:
    heard = ["t0", {"track_id": "t1"}, {"artist_name": "ARTIST 2 ", "track_name": "song 2"}]
    found = ask(handler, k=3, not_heard_by=heard)
    assert [(one["rank"], one["track_id"]) for one in found["tracks"]] == [
        (4, "t3"), (5, "t4"), (6, "t5"),
    ]  # fmt: skip
    found = ask(handler, country="BR", not_heard_by=["t7"])
    assert [one["track_id"] for one in found["tracks"]] == ["t1", None]
    assert found["notes"] == ["k: the list has 2 tracks that were not left out"]


def test_lines_and_the_prior(handler: Handler, tmp_path: Path) -> None:
    body, media_type = handler.answer(
        b'{"k": 1}\n{"window": "month"}\n', "application/jsonlines", ""
    )
    assert media_type == "application/jsonlines"
    assert [len(json.loads(line)["tracks"]) for line in body.splitlines()] == [1, 10]
    write_prior(tmp_path, system="charts")
    found = ask(load_handler(tmp_path), country="BR")
    assert (found["prior"], found["tracks"], found["place"]) == (True, [], "world")


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"window": "year"}, "window: must be week or month, got 'year'"),
        ({"country": "Atlantis"}, "country: 'Atlantis' is no country"),
        ({"k": 0}, "k: must be a whole number from 1, got 0"),
        ({"k": 201}, "k: 201 tracks, at most 200"),
        ({"kk": 1}, "kk: is not known; send window, country, k, not_heard_by"),
        ({"not_heard_by": "t1"}, "not_heard_by: must be a list"),
        ({"not_heard_by": [{"track_name": 3}]}, "not_heard_by[0].track_name: must be text"),
        ({"not_heard_by": [2.5]}, "not_heard_by"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(
    handler: Handler, question: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError) as refused:
        ask(handler, **question)
    assert words in str(refused.value)


def test_a_damaged_bundle_is_refused(folder: Path) -> None:
    archive = load(folder)
    archive.content["windows"] = {"year": 365}
    with pytest.raises(ArchiveError, match="no list of the world for a year"):
        ChartsBundle(archive)
    del archive.content["method"]
    with pytest.raises(ArchiveError, match="not a bundle's content"):
        ChartsBundle(archive)
