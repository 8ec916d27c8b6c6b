from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from listening.country.splits import bucket, fold_of, split_of


def test_shares_are_80_10_10() -> None:
    shares = Counter(split_of(str(listener)) for listener in range(20_000))
    assert abs(shares["train"] / 20_000 - 0.8) < 0.01
    assert abs(shares["validation"] / 20_000 - 0.1) < 0.01


def test_folds_are_even_within_a_split() -> None:
    train = [str(u) for u in range(20_000) if split_of(str(u)) == "train"]
    folds = Counter(fold_of(user_id, folds=3) for user_id in train)
    assert set(folds) == {0, 1, 2}
    assert max(folds.values()) - min(folds.values()) < 0.05 * len(train)


def test_known_values_never_change() -> None:
    assert [bucket(user_id) for user_id in ("1", "2", "héloïse")] == [155, 705, 78]


@given(st.text(), st.text())
def test_bucket_depends_on_the_salt_and_stays_in_range(user_id: str, salt: str) -> None:
    assert 0 <= bucket(user_id, salt=salt) < 1000
