"""Numbers in text, as the jobs, the check and the endpoint take them."""

from __future__ import annotations

import math
import re

BLANKS = r"^[ \t\n\x0B\f\r]+|[ \t\n\x0B\f\r]+$"
"""What is taken off both ends of an id, a number or a time."""
NUMBER = r"^[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)?(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$"
"""A number in text; one digit at least must be in its mantissa."""
DIGIT_FIRST = r"^[+-]?\.?[0-9]"


def parse_number(text: str) -> float | None:
    """Return the number that a text says, None for one that says none.

    Examples
    --------
    >>> [parse_number(text) for text in ("12,034", " 7 ", "1e3", "n/a", "1_000", "nan", "1e999")]
    [12034.0, 7.0, 1000.0, None, None, None, None]
    """
    bare = re.sub(BLANKS, "", text)
    if not (re.match(NUMBER, bare, re.ASCII) and re.match(DIGIT_FIRST, bare)):
        return None
    number = float(bare.replace(",", ""))
    return number if math.isfinite(number) else None
