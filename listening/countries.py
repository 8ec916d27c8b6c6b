"""Country labels of listening data to ISO 3166-1 alpha-2 codes, and back to English names.

Labels are those of ISO 3166 (by pycountry: codes, names, official and common names) and those that
Last.fm and its users write (``country_labels.json``).
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from importlib import resources
from typing import Final

import pycountry

KOSOVO: Final = ("XK", "Kosovo")
"""Not in ISO 3166-1, but in use everywhere under this code."""

_NOT_WORD = re.compile(r"[^\w]+")


def country_code(label: str | None) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a country's label; None where it names none.

    Examples
    --------
    >>> [country_code(label) for label in ("Viet Nam", "Korea, Republic of", "none", "Atlantis")]
    ['VN', 'KR', None, None]
    """
    return _codes().get(_normalise(label or ""))


def is_no_country(label: str | None) -> bool:
    """Tell whether a label says that there is no country, as opposed to one we do not know."""
    plain = _normalise(label or "")
    if plain:
        return plain in _no_country()
    return all(unicodedata.category(letter)[0] in "CPZ" for letter in label or "")


@cache
def country_name(code: str) -> str:
    """Return a country's usual English name; the code itself for one that ISO does not have.

    Examples
    --------
    >>> country_name("VN")
    'Vietnam'
    """
    if code == KOSOVO[0]:
        return KOSOVO[1]
    country = pycountry.countries.get(alpha_2=code)
    return code if country is None else str(getattr(country, "common_name", country.name))


def _normalise(label: str) -> str:
    letters = unicodedata.normalize("NFKD", label).casefold()
    plain = "".join(c for c in letters if c != "." and not unicodedata.combining(c))
    words = _NOT_WORD.sub(" ", plain.replace("&", " and ")).strip()
    return re.sub(r"^st\b", "saint", words)


@cache
def _no_country() -> frozenset[str]:
    return frozenset(map(_normalise, _label_table()["no_country"]))


@cache
def _codes() -> dict[str, str]:
    codes = {_normalise(text): KOSOVO[0] for text in KOSOVO}
    for country in pycountry.countries:
        for field in ("alpha_2", "alpha_3", "name", "official_name", "common_name"):
            label = getattr(country, field, "")
            first, comma, last = label.partition(", ")  # Korea, Republic of
            for written in (label, f"{last} {first}" if comma else "", f"the {label}"):
                if written.strip():
                    codes.setdefault(_normalise(written), country.alpha_2)
    codes.update((_normalise(label), code) for label, code in _label_table()["labels"].items())
    return {label: code for label, code in codes.items() if label not in _no_country()}


@cache
def _label_table() -> dict[str, dict[str, str]]:
    text = resources.files("listening").joinpath("country_labels.json").read_text("utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return table
