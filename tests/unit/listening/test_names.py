from __future__ import annotations

import unicodedata

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listening.names import artist_key, display_name


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Björk", "Björk"),
        ("BjÃ¶rk", "Björk"),  # UTF-8 read as Latin-1 or Windows-1252
        ("Bj√∂rk", "Björk"),  # UTF-8 read as Mac Roman
        ("Legi√£o Urbana", "Legião Urbana"),  # what could be meant, to ftfy
        ("–°–ª–∞–≤–∞ –∏ –ú—ã", "Слава и Мы"),
        ("ÌÉúÏñë", "태양"),
        ("Simon &amp; Garfunkel", "Simon & Garfunkel"),
        ("  Sigur\u00a0 Rós\t", "Sigur Rós"),
        ("Ｍ", "M"),
        ("久石\u3000譲", "久石 譲"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_display_name_repairs_what_exports_damage(raw: str, shown: str) -> None:
    assert display_name(raw) == shown


@pytest.mark.parametrize("codec", ["latin-1", "mac-roman"])
@pytest.mark.parametrize("name", ["Sandra De Sá", "girugämesh", "Şebnem Ferah", "ギルガメッシュ"])
def test_names_come_back_from_both_kinds_of_damage(name: str, codec: str) -> None:
    assert display_name(name.encode().decode(codec)) == name


@pytest.mark.parametrize("name", ["∆", "√", "Œuvre", "L'école – l'été", "D.Å.R.F.D.H.S."])
def test_names_that_only_look_damaged_are_left_alone(name: str) -> None:
    assert display_name(name) == name


def test_key_is_one_for_all_spellings() -> None:
    spellings = ["Beyoncé", "BEYONCÉ", "BeyoncÃ©", "Beyonc√©", " beyonce\u0301 "]
    assert {artist_key(name) for name in spellings} == {"beyoncé"}


def test_key_keeps_different_artists_apart() -> None:
    assert artist_key("koЯn") != artist_key("korn")
    assert artist_key("Air") != artist_key("Aïr")


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="&")))
def test_short_cut_for_plain_names_changes_nothing(name: str) -> None:
    assert display_name(name) == " ".join(ftfy.fix_text(name, normalization="NFKC").split())


@given(st.text(max_size=30))
def test_key_is_normal_and_without_stray_blanks(name: str) -> None:
    key = artist_key(name)
    assert key == " ".join(key.split())
    assert unicodedata.is_normalized("NFKC", key)
