"""Ids and numbers in text, as the jobs, the check, `data forget` and the endpoint take them."""

from __future__ import annotations

import math
import re

_BLANK = " \t\n\x0b\f\r"
BLANKS = rf"^[{_BLANK}]+|[{_BLANK}]+$"
"""What is taken off both ends of an id, a number or a time."""
NUMBER = r"^[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)?(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$"
"""A number in text; one digit at least must be in its mantissa."""
DIGIT_FIRST = r"^[+-]?\.?[0-9]"


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
