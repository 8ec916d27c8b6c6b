"""Artist names: what is shown, and the key under which two spellings are one artist.

The jobs and the endpoint call the same two functions, so that a name means the same artist in
training and in a request.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import ftfy

_REPAIR = ftfy.TextFixerConfig(normalization="NFKC", unescape_html=True, explain=False)

_LATER = bytes(range(0x80, 0xC0)).decode("mac-roman")
_LETTER = f"[Œœ–—◊ÿŸ][{_LATER}]"  # Greek, Cyrillic, Hebrew, Arabic
_MAC_ROMAN = re.compile(
    f"[¬√ƒ≈∆][{_LATER}]"  # Latin
    f"|(?:{_LETTER}){{2,}}(?: (?:{_LETTER})+)*"  # one alone may be meant
    f"|[‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ][{_LATER}]{{2}}"  # what takes three bytes, such as Japanese and Korean
)
"""UTF-8 read as Mac Roman: the first byte of a letter, then later ones."""


_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
"""What shows nothing: zero width, soft hyphens, direction marks, variation selectors, fillers."""


def display_name(raw: str) -> str:
    """Return an artist's name with mojibake, HTML entities and white space repaired.

    UTF-8 that was read as Latin-1, Windows-1252 or Mac Roman is undone (``Bj√∂rk``, ``BjÃ¶rk``),
    the characters become Unicode NFKC, and runs of white space one blank.

    Examples
    --------
    >>> display_name("  Bj√∂rk ")
    'Björk'
    """
    if raw.isascii() and raw.isprintable() and "&" not in raw:
        return " ".join(raw.split())  # ftfy would change nothing, at fifty times the cost
    return _repaired(raw)


@lru_cache(maxsize=16_384)  # 30 µs each without, and the same names come again and again
def _repaired(raw: str) -> str:
    # ftfy alone takes much of Mac Roman (√°, √£, √§) for what somebody meant to write.
    if _MAC_ROMAN.search(raw):
        raw = _MAC_ROMAN.sub(_reread, ftfy.fix_encoding(raw))
    return " ".join(ftfy.fix_text(raw, _REPAIR).split())


def _reread(match: re.Match[str]) -> str:
    try:
        return match[0].encode("mac-roman").decode()
    except UnicodeDecodeError:
        return match[0]


def artist_key(raw: str) -> str:
    r"""Return the key under which all spellings of an artist's name meet; empty for no name.

    Examples
    --------
    >>> artist_key("SIGUR  RO\u0301S") == artist_key("Sigur RÃ³s") == "sigur rós"
    True
    >>> artist_key("Sigur\u200b R\xf3s\u200e")
    'sigur rós'
    """
    key = display_name(raw).casefold()
    if key.isascii():
        return key
    return unicodedata.normalize("NFKC", " ".join(_INVISIBLE.sub("", key).split()))
