"""What identifies content: BLAKE3 of files, SHA-256 of a manifest."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from listening.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def content_version(document: Mapping[str, Any]) -> str:
    """Return the version of a manifest: 12 hexadecimal digits, whatever it was created from."""
    content = {k: v for k, v in document.items() if k not in {"version", "created_from"}}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest(path: Path) -> str:
    """Return the BLAKE3 hash of a file; all cores share a large one.

    Raises
    ------
    ArchiveError
        It is not readable.
    """
    try:
        return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
    except OSError as error:
        raise ArchiveError(f"{path}: not readable ({error})") from error
