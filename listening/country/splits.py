"""Which split and which fold a listener belongs to, by a hash of the listener's id alone.

A listener therefore never changes split when others are added. Spark computes the same value with
``conv(substring(sha2(concat(salt, ':', user_id), 256), 1, 8), 16, 10)``.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SALT = "music-country"
"""The project's fixed salt: it decides the test split, which nothing is ever tuned on."""

BUCKETS = 1000
TRAIN_BUCKETS = 800  # 80%
VALIDATION_BUCKETS = 100  # 10%; the rest is test


def bucket(user_id: str, *, salt: str = SALT, buckets: int = BUCKETS) -> int:
    """Return the listener's bucket in ``range(buckets)``."""
    digest = hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()
    return int(digest[:8], 16) % buckets


def split_of(user_id: str, *, salt: str = SALT) -> Split:
    """Return the listener's split: 80% train, 10% validation, 10% test."""
    position = bucket(user_id, salt=salt)
    if position < TRAIN_BUCKETS:
        return "train"
    return "validation" if position < TRAIN_BUCKETS + VALIDATION_BUCKETS else "test"


def fold_of(user_id: str, *, folds: int, salt: str = SALT) -> int:
    """Return the listener's fold in ``range(folds)``, independent of the split."""
    return bucket(user_id, salt=f"{salt}:fold", buckets=folds)
