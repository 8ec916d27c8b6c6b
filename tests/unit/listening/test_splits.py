"""Buckets of listeners: fixed by the id, and evenly filled."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from listening.splits import bucket

SALT = "listening-sessions"


@pytest.mark.parametrize(("user_id", "place"), [("alice", 207), ("u 1", 593), ("Ärtist", 781)])
def test_a_bucket_is_known_once_and_for_all(user_id: str, place: int) -> None:
    assert bucket(user_id, salt=SALT, buckets=1000) == place


def test_a_bucket_is_of_the_first_eight_digits() -> None:
    digest = hashlib.sha256(f"{SALT}:alice".encode()).hexdigest()
    assert digest.startswith("a7947857")
    assert bucket("alice", salt=SALT, buckets=2**32) == 0xA7947857


def test_another_salt_divides_anew() -> None:
    users = [f"user-{i}" for i in range(200)]
    ours, others = ([bucket(u, salt=s, buckets=10) for u in users] for s in (SALT, "another"))
    same = sum(one == other for one, other in zip(ours, others, strict=True))
    assert 5 <= same <= 40  # 20 by chance


def test_buckets_are_evenly_filled() -> None:
    n, buckets = 20_000, 10
    counts = Counter(bucket(f"user-{i}", salt=SALT, buckets=buckets) for i in range(n))
    assert set(counts) == set(range(buckets))
    expected = n / buckets
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 27.9  # exceeded once in a thousand salts at 9 degrees of freedom
