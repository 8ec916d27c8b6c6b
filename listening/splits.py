"""Which listeners are held out, by a hash of the listener's id alone."""

from __future__ import annotations

import hashlib


def bucket(user_id: str, *, salt: str, buckets: int) -> int:
    """Return a listener's bucket: it never changes when others are added.

    The number made by the first 8 hexadecimal digits of the SHA-256 of ``<salt>:<user_id>``, modulo
    the number of buckets.
    """
    digest = hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()
    return int(digest[:8], 16) % buckets
