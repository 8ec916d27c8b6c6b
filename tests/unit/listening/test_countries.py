from __future__ import annotations

import pytest

from listening.countries import country_code, country_name, is_no_country
from listening.regions import default_regions


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("Russian Federation", "RU"),
        ("Korea, Republic of", "KR"),
        ("Viet Nam", "VN"),
        ("Macedonia", "MK"),
        ("Czech Republic", "CZ"),
        ("Virgin Islands, U.s.", "VI"),
        ("Iran, Islamic Republic of", "IR"),
        ("Côte d'Ivoire", "CI"),
        ("  united   STATES ", "US"),
        ("usa", "US"),
        ("DEU", "DE"),
        ("NA", "NA"),  # Namibia, not "not available"
        ("Kosovo", "XK"),
        ("none", None),
        ("", None),
        (None, None),
        ("Atlantis", None),
    ],
)
def test_labels_become_iso_codes(label: str | None, code: str | None) -> None:
    assert country_code(label) == code


def test_no_country_differs_from_an_unknown_one() -> None:
    assert is_no_country("None")
    assert is_no_country(None)
    assert not is_no_country("Atlantis")


def test_every_country_of_the_region_table_has_a_name_that_leads_back() -> None:
    for code in default_regions().region_of:
        assert country_name(code) != code
        assert country_code(country_name(code)) == code
