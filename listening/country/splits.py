"""Which split and which fold a listener belongs to, by a hash of the listener's id alone.

A listener therefore never changes split when others are added. A bucket is the number made by the
first 8 hexadecimal digits of the SHA-256 of ``<salt>:<user_id>``, modulo the number of buckets: see
`glue_jobs.country.selection`.
"""

from __future__ import annotations

SPLITS = ("train", "validation", "test")
SALT = "music-country"
"""The project's fixed salt: it decides the test split, which nothing is ever tuned on."""

BUCKETS = 1000
TRAIN_BUCKETS = 800  # 80%
VALIDATION_BUCKETS = 100  # 10%; the rest is test
