from __future__ import annotations

import pytest

from glue_jobs.country.quality import CLEANING, check_cleaning, check_features, label_shift
from glue_jobs.quality import Limits
from listening.errors import DataError


def cleaning(
    dropped: int = 0, filled: int = 0, left_out: int = 0, with_total: int = 20
) -> dict[str, object]:
    return {
        "plays": {
            "rows_in": 1000,
            "rows_out": 1000 - dropped,
            "dropped": {"merged_artist": dropped},
            "playcount_filled": filled,
        },
        "listeners": {"rows_out": 20, "with_total_scrobbles": with_total},
        "artists": {"plays_of_artists_left_out": left_out},
    }


def test_clean_data_passes() -> None:
    check_cleaning(cleaning(100, 100, 100), Limits(CLEANING))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        (
            {"dropped": 300},
            r"dropped by cleaning is 0.300, above the limit of 0.2; .*--max_dropped",
        ),
        ({"filled": 600}, r"not numbers is 0.600, above the limit of 0.5; .*--max_filled_share"),
        ({"with_total": 1}, r"total_scrobbles is missing is 0.950, .* 0.9; .*--max_null_share"),
        ({"left_out": 700}, r"too few listeners is 0.700, above .* 0.6; .*--max_unknown_share"),
    ],
)
def test_a_breach_names_the_figure_and_its_limit(counts: dict[str, int], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_cleaning(cleaning(**counts), Limits(CLEANING))


def test_a_data_set_without_any_total_of_scrobbles_passes() -> None:
    check_cleaning(cleaning(with_total=0), Limits(CLEANING | {"max_null_share": 0.0}))
    check_cleaning(cleaning(with_total=10), Limits(CLEANING))


def test_label_shift_grows_with_the_difference() -> None:
    before = {"US": 500, "DE": 500}
    assert label_shift(before, before) == 0
    assert label_shift({"US": 520, "DE": 480}, before) < 0.1
    assert label_shift({"US": 900, "DE": 100}, before) > 0.25
    assert label_shift({"US": 500, "BR": 500}, before) > 0.25


def test_features_out_of_range_are_refused() -> None:
    summary = {"rows": 9, "out_of_range": 0, "width_least": 4, "width_most": 4}
    check_features(summary, 4)
    with pytest.raises(DataError, match="2 of 9 listeners have a feature that is no number of its"):
        check_features({**summary, "out_of_range": 2}, 4)
    with pytest.raises(DataError, match="4 to 4 features, the layout 5"):
        check_features(summary, 5)
