"""What the page consists of wherever it is served: its files and the headers they come with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import listening.country
from listening.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
CONFIG = "config.json"
"""What the page reads first, see `config`."""
WORLD = Path(listening.country.__file__).with_name("world.json")
"""The countries' shapes, which the report draws too."""
UNCHANGING = "private, max-age=86400, immutable"
"""``Cache-Control`` of a bundle version's files, which no later bundle overwrites."""


def page_files(web: Path) -> dict[str, Path]:
    """Return the page's files by name, without `CONFIG`.

    Parameters
    ----------
    web
        The folder ``web/`` of the project.

    Raises
    ------
    ResourceError
        The folder has no page.
    """
    if not (web / INDEX).is_file():
        raise ResourceError(f"{web} has no {INDEX}: the page needs a clone of the project")
    files = {file.name: file for file in sorted(web.iterdir()) if file.suffix in CONTENT_TYPES}
    return files | {WORLD.name: WORLD}


def config(sign_in: Mapping[str, str] | None) -> bytes:
    """Return what the page finds in `CONFIG`.

    Parameters
    ----------
    sign_in
        ``issuer``, ``client_id`` and, where the issuer needs one, ``audience``; None where nobody
        signs in.
    """
    return json.dumps({"sign_in": sign_in}).encode()


def content_security_policy(origins: Sequence[str] = ()) -> str:
    """Return a policy under which nothing inline runs.

    Parameters
    ----------
    origins
        Whom the page may ask beside its own origin.
    """
    connect = " ".join(["'self'", *origins])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src {connect}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
