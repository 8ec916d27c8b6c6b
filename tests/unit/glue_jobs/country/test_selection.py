from __future__ import annotations

import pytest

from glue_jobs.country.selection import select
from listening.errors import DataError
from listening.regions import Region, RegionTable, default_regions


def split(train: int, validation: int = 5, test: int = 5) -> dict[str, int]:
    return {"train": train, "validation": validation, "test": test}


LABELS = {
    "Germany": split(80),
    "Teutonia": split(4),
    "DE": split(10),
    "United States": split(200),
    "Macedonia": split(60, validation=0),
    "Malta": split(10),
    "none": split(7),
    None: split(3),
}


def test_countries_are_kept_or_dropped_by_name_and_count() -> None:
    selection = select(LABELS, default_regions(), least=50, source="table")
    assert selection.counts == {"DE": split(90, 10, 10), "US": split(200)}
    assert selection.labels == {"DE": "DE", "Germany": "DE", "United States": "US"}
    assert selection.countries == ["DE", "US"]
    assert [region.slug for region in selection.regions.regions] == ["dach", "anglo-am"]
    quality = selection.quality()
    assert quality["dropped_countries"] == [
        {
            "country": "MK",
            "name": "North Macedonia",
            "listeners": 65,
            "reason": "missing_in_a_split",
        },
        {"country": "MT", "name": "Malta", "listeners": 20, "reason": "too_few_listeners"},
    ]
    assert quality["unknown_labels"] == {"Teutonia": 14}
    assert quality["dropped"] == {
        "no_country": 30,
        "unknown_label": 14,
        "missing_in_a_split": 65,
        "too_few_listeners": 20,
    }
    everybody = sum(sum(counts.values()) for counts in LABELS.values())
    assert quality["rows_in"] == everybody
    assert sum(quality["rows_out"].values()) + sum(quality["dropped"].values()) == everybody


def test_a_country_outside_the_region_table_is_dropped() -> None:
    table = RegionTable((Region("all", "All", ("DE", "MK")),))
    reasons = {
        entry["country"]: entry["reason"]
        for entry in select(LABELS | {"Macedonia": split(60)}, table, least=50, source="t").dropped
    }
    assert reasons["US"] == "not_in_region_table"


def test_no_country_left_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"table: 0 countries have at least 900 listeners .*lower"):
        select(LABELS, default_regions(), least=900, source="table")
