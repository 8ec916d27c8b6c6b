from __future__ import annotations

import pycountry
import pytest

from listening.regions import RegionTable, RegionTableError, default_regions


def test_covers_every_country_once() -> None:
    table = default_regions()
    countries = {country.alpha_2 for country in pycountry.countries} | {"XK"}
    assert set(table.region_of) == countries
    assert sum(len(region.countries) for region in table.regions) == len(countries)
    assert len(table.regions) == 13


def test_places_countries_as_the_recipe_does() -> None:
    region_of = default_regions().region_of
    expected = {
        "JM": "africa",
        "RU": "balkans",
        "CU": "anglo-am",
        "TT": "latin-am",
        "AQ": "antarctica",
    }
    assert {country: region_of[country] for country in expected} == expected


def test_round_trip() -> None:
    table = default_regions()
    assert RegionTable.from_json(table.to_json()) == table


def test_restriction_leaves_out_empty_regions() -> None:
    table = default_regions().restricted_to({"SE", "NO", "JP"})
    assert [(r.slug, r.countries) for r in table.regions] == [
        ("east-asia", ("JP",)),
        ("nordics", ("NO", "SE")),
    ]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({}, "expected"),
        ({"regions": []}, "no regions"),
        ({"regions": [{"slug": "A b", "name": "x", "countries": ["DE"]}]}, "slug 'A b'"),
        ({"regions": [{"slug": "x" * 13, "name": "x", "countries": ["DE"]}]}, "1 to 12"),
        ({"regions": [{"slug": "a", "name": "x", "countries": []}]}, "no countries"),
        ({"regions": [{"slug": "a", "name": "x", "countries": ["Germany"]}]}, "'Germany' in 'a'"),
        (
            {
                "regions": [
                    {"slug": "a", "name": "x", "countries": ["DE"]},
                    {"slug": "b", "name": "y", "countries": ["DE"]},
                ]
            },
            "DE is in 'a' and in 'b'",
        ),
        (
            {
                "regions": [
                    {"slug": "a", "name": "x", "countries": ["DE"]},
                    {"slug": "a", "name": "y", "countries": ["FR"]},
                ]
            },
            "occurs twice",
        ),
    ],
)
def test_refuses_what_is_no_partition(document: object, complaint: str) -> None:
    with pytest.raises(RegionTableError, match=complaint):
        RegionTable.from_json(document, source="mine.json")


def test_unknown_slug_names_the_known() -> None:
    with pytest.raises(RegionTableError, match="nordics"):
        default_regions()["atlantis"]
