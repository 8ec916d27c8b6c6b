"""Ids, numbers and times in text, as jobs, check, `data forget` and endpoint take them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_BLANK = " \t\n\x0b\f\r"
BLANKS = rf"^[{_BLANK}]+|[{_BLANK}]+$"
"""What is taken off both ends of an id, a number or a time."""
NUMBER = r"^[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)?(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$"
"""A number in text; one digit at least must be in its mantissa."""
DIGIT_FIRST = r"^[+-]?\.?[0-9]"
TIME = (
    r"^(?P<date>(?:19|20|21)[0-9]{2}-[0-1][0-9]-[0-3][0-9])"
    r"(?:[T ](?P<minute>[0-2][0-9]:[0-5][0-9])(?::(?P<second>[0-5][0-9])"
    r"(?:[.,](?P<fraction>[0-9]{1,6})[0-9]*)?)?)?"
    r"[ ]?(?P<zone>Z|UTC|[+-][0-2][0-9]:?[0-5][0-9])?$"
)
"""A time in text, by ISO 8601: a date, or a date and a time of day, with or without an offset."""
EPOCH = r"^[0-9]{1,19}$"
"""A time in text that counts from 1970, as a number does."""
EPOCH_UNITS = ((1e11, 1_000_000.0), (1e14, 1000.0), (1e17, 1.0), (float("inf"), 0.001))
"""A count below the first number is of a unit of so many microseconds: s, ms, µs, ns."""
_TIME, _EPOCH = re.compile(TIME), re.compile(EPOCH)


def bare(text: str) -> str:
    """Return an id or a number without blanks around it."""
    return text.strip(_BLANK)


def parse_number(text: str) -> float | None:
    """Return the number that a text says, None for one that says none.

    Examples
    --------
    >>> [parse_number(text) for text in ("12,034", " 7 ", "1e3", "n/a", "1_000", "nan", "1e999")]
    [12034.0, 7.0, 1000.0, None, None, None, None]
    """
    plain = bare(text)
    if not (re.match(NUMBER, plain) and re.match(DIGIT_FIRST, plain)):
        return None
    number = float(plain.replace(",", ""))
    return number if math.isfinite(number) else None


def parse_time(value: str | float) -> float | None:
    """Return the seconds since 1970 that a time says, None for what says none.

    Parameters
    ----------
    value
        Text as `TIME` or `EPOCH` describes it, UTC where it has no offset; or a count since 1970,
        whose unit its size tells.

    Examples
    --------
    >>> parse_time("2024-05-01T12:00:00+02:00"), parse_time("2024-05-01 10:00"), parse_time("soon")
    (1714557600.0, 1714557600.0, None)
    """
    if isinstance(value, str):
        text = bare(value)
        if not _EPOCH.match(text):
            return _written(text)
        value = float(text)
    if not 0 <= value < float("inf"):
        return None
    return next(value * unit for most, unit in EPOCH_UNITS if value < most) / 1e6


def _written(text: str) -> float | None:
    found = _TIME.match(text)
    if found is None:
        return None
    date, minute, second, fraction, zone = found.groups()
    offset = 0
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        offset = -minutes if zone[0] == "-" else minutes
    try:
        moment = datetime.fromisoformat(f"{date} {minute or '00:00'}:{second or '00'}")
    except ValueError:
        return None
    micros = int((fraction or "0").ljust(6, "0"))
    return moment.replace(tzinfo=UTC).timestamp() + micros / 1e6 - offset * 60
