"""A caller's fields, of which nothing is trusted.

Every refusal is a `RequestError` that names the field, such as ``listeners[2].k``. What is before
its name says where its document is: ``listeners[2].``, ``line 4: ``, or nothing for the only one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listening.errors import RequestError
from listening.log.plain import bare, parse_time

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_TEXT = 1_000  # characters of a name or an id
MAX_COUNT = 1e12


def shown(value: Any) -> str:
    """Return a short form of what a caller sent, for an error message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def text(value: Any, where: str, field: str) -> str | None:
    """Return a text of at most `MAX_TEXT` characters; None for nothing."""
    if value is None or (isinstance(value, str) and len(value) <= MAX_TEXT):
        return value
    found = f"{len(value)} characters" if isinstance(value, str) else shown(value)
    raise _refused(where, field, f"text of at most {MAX_TEXT} characters", found)


def identifier(value: Any, where: str, field: str) -> str | None:
    """Return an id, which may be a whole number, as text; None for nothing."""
    found = text(str(value) if type(value) is int else value, where, field)
    return None if found is None else bare(found) or None


def count(value: Any, where: str, field: str) -> float | None:
    """Return a number from 0 to `MAX_COUNT`; None for nothing."""
    if value is None:
        return None
    if type(value) in (int, float) and 0 <= value <= MAX_COUNT:
        return float(value)
    raise _refused(where, field, f"a number from 0 to {MAX_COUNT:.0e}", shown(value))


def whole_number(value: Any, where: str, field: str) -> int:
    """Return a whole number from 1."""
    if type(value) is int and value >= 1:
        return value
    raise _refused(where, field, "a whole number from 1", shown(value))


def flag(value: Any, where: str, field: str) -> bool:
    """Return true or false."""
    if type(value) is bool:
        return value
    raise _refused(where, field, "true or false", shown(value))


def choice(value: Any, choices: Collection[str], where: str, field: str) -> str:
    """Return one of some words."""
    if isinstance(value, str) and value in choices:
        return value
    raise _refused(where, field, " or ".join(choices), shown(value))


def moment(value: Any, where: str, field: str) -> float:
    """Return the seconds since 1970 that a time says."""
    seconds = parse_time(value) if type(value) in (str, int, float) else None
    if seconds is None:
        wanted = "a time such as 2024-05-01T18:00:00Z, or seconds since 1970"
        raise _refused(where, field, wanted, shown(value))
    return seconds


def entries(value: Any, where: str, field: str, *, most: int) -> list[Any]:
    """Return a list of at most so many entries; an empty one for nothing."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _refused(where, field, "a list", shown(value))
    if len(value) > most:
        raise RequestError(
            f"{where}{field}: {len(value)} of one listener, at most {most}", status=413
        )
    return value


def _refused(where: str, field: str, wanted: str, found: str) -> RequestError:
    within = "." if where.endswith("]") else ""
    return RequestError(f"{where}{within}{field}: must be {wanted}, got {found}")
