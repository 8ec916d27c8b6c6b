"""Invented artist names in the scripts of many countries, for synthetic listeners."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Tongue:
    """How names of one language family are put together.

    Parameters
    ----------
    syllables
        What words are made of, separated by blanks.
    patterns
        Forms of a name: ``{}`` is a word.
    syllables_per_word
        The least and the greatest number.
    """

    syllables: str
    patterns: tuple[str, ...] = ("{}", "{} {}", "{} {}")
    syllables_per_word: tuple[int, int] = (2, 3)


TONGUES = {
    "english": Tongue(
        "mar lo win ter hol ford ash crow ven dale stone riv er el lin brook hay mon tay fox "
        "grey ham wick shaw pol ly dar ren mill sway cin der north gale",
        ("The {}s", "{} & the {}s", "{} {}", "{}", "{} of {}", "DJ {}", "Saint {}"),
        (1, 2),
    ),
    "german": Tongue(
        "schön wald berg mül ler haus stern licht nacht kö nig gro ße feld bach wind rau jür gen "
        "traum ei sen läu fer kel",
        ("{}", "{} {}", "Die {}", "Das {}", "{} und {}"),
    ),
    "french": Tongue(
        "bel le mon é toi le cha noir ri vière fleur ça ra mi rê ve jean cô te lune sou pir gar "
        "çon dé sir mer lan",
        ("{}", "{} {}", "Les {}s", "La {}", "{} et {}"),
    ),
    "spanish": Tongue(
        "ma ría lu na sol co ra zón ni ño ca lle rí o ban da fue go can ción es tre lla pe ña "
        "gua te ro qui",
        ("Los {}s", "La {}", "{} {}", "{}", "{} y {}", "Grupo {}"),
    ),
    "portuguese": Tongue(
        "co ra ção sau da de ma ré ri o luz não pai xão jo ão te rra sam ba chu va a mor vi ta são",
        ("Os {}s", "{} {}", "{}", "{} do {}", "Banda {}"),
    ),
    "italian": Tongue(
        "bel la not te stel la ma re ci tà lu na ca sa gio van ni per ché so gno vi a fio re ri to",
        ("I {}", "{} {}", "{}", "La {}", "{} e {}"),
    ),
    "nordic": Tongue(
        "bjørn sø ren ås fjo rd kå re lys nor den vin ter hå kon mö rk sten gå rd øy skog blå sig "
        "ur rós tä hti",
        ("{}", "{} {}", "{}", "{} och {}"),
    ),
    "slavic": Tongue(
        "mi ło ść gwi az da ko cha ny rze ka žel va čer ný dvě ře mlá dí ště pán krá lov šum na "
        "du ša bog dan hvě zda",
        ("{}", "{} {}", "{} {}", "{} i {}"),
    ),
    "baltic": Tongue(
        "sau lė žvai gž dė mė nu lis jū ra vė jas zie mas au gus tė pil nā kal ns õh tu tä ht",
        ("{}", "{} {}"),
    ),
    "hungarian": Tongue("szer el em csil lag éj sza ka ő szi vi rág nép ün nep kör út tűz ha lál"),
    "romanian": Tongue("ini mă stea lu nă dra gos te ță rm noa pte flo ri ca să mun te șar pe"),
    "turkish": Tongue("yıl dız gü neş de niz ge ce şar kı öz lem çı nar ay la rüz gâr kız ba har"),
    "cyrillic": Tongue(
        "лю бовь звез да но чь ве тер со лн це ре ка ми ла го род снег ду ша кра сный па мя ть",
        ("{}", "{} {}", "{} и {}", "Группа {}"),
    ),
    "greek": Tongue("α γά πη φε γγά ρι θά λα σσα νύ χτα ή λιος ά νε μος μα ρί α δρό μος"),
    "georgian": Tongue("სი ყვა რუ ლი მთვა რე ზღ ვა ღა მე მზე ქა რი გო გო ვარ დი"),
    "armenian": Tongue("սեր ար և գի շեր ծով աստղ քա մի եր գը լու սին"),
    "hebrew": Tongue("אה בה ים כו כב לי לה שמ ש רו ח שי ר ירו שה", ("{}", "{} {}", "להקת {}")),
    "arabic": Tongue("حب قمر ليل بحر شمس نجم ريح ور دة صو ت قل ب نو ر", ("{}", "{} {}", "فرقة {}")),
    "hindi": Tongue("प्रे म चाँ द रा त सा गर सू रज ता रा ह वा गी त म न", ("{}", "{} {}")),
    "thai": Tongue("รัก ดาว คืน ทะ เล ลม จัน ทร์ ฟ้า ใจ เพ ลง", ("{}", "วง{}"), (2, 4)),
    "japanese": Tongue(
        "サ ク ラ 夜 月 星 風 東 京 花 火 空 海 ル ミ ナ 音 少 女 時 雨 ノ 森",
        ("{}", "{}", "{}の{}", "{} {}"),
        (2, 4),
    ),
    "korean": Tongue(
        "사랑 별 밤 바다 달 하늘 바람 소녀 시대 노래 빛 꽃 서울 구름 강", syllables_per_word=(1, 3)
    ),
    "chinese": Tongue(
        "愛 星 夜 海 月 風 天 歌 夢 花 雨 雲 山 河 光 心 城 龍 鳳 青 春",
        ("{}", "{}", "{}樂團", "{}與{}"),
        (2, 3),
    ),
    "vietnamese": Tongue(
        "tình yêu sao đêm biển trăng nắng gió hát mưa hoa sông phố", ("{} {}", "{} {} {}"), (1, 1)
    ),
    "malay": Tongue("cin ta bin tang ma lam la ut bu lan ha ri a ngin ra sa ji wa kasih mu"),
    "mixed": Tongue("ba ko ni te zu ma li ra fe lo sa mi du wa yo ke na ti go ru"),
}  # fmt: skip


_COUNTRIES_OF = {
    "english": "US GB AU CA IE NZ ZA JM TT NG KE GH PH ZW",
    "german": "DE AT CH LU",
    "french": "FR BE HT SN CI MC",
    "spanish": "MX ES AR CL CO PE VE EC UY CR GT DO BO PY SV HN NI PA CU PR AD",
    "portuguese": "BR PT AO MZ",
    "italian": "IT SM VA MT",
    "nordic": "SE NO FI DK IS FO NL",
    "slavic": "PL CZ SK HR SI BA ME",
    "baltic": "LT LV EE",
    "hungarian": "HU",
    "romanian": "RO MD",
    "turkish": "TR AZ",
    "cyrillic": "RU UA BY BG RS MK KZ KG MN",
    "greek": "GR CY",
    "georgian": "GE",
    "armenian": "AM",
    "hebrew": "IL",
    "arabic": "EG SA AE LB JO MA TN DZ IQ SY KW QA BH OM IR PK",
    "hindi": "IN NP LK BD",
    "thai": "TH",
    "japanese": "JP",
    "korean": "KR KP",
    "chinese": "CN TW HK SG MO",
    "vietnamese": "VN",
    "malay": "ID MY BN",
}

TONGUE_OF = {
    country: tongue for tongue, countries in _COUNTRIES_OF.items() for country in countries.split()
}
"""Country code to the language family of its scene; others are ``mixed``."""


def _word(syllables: list[str], least: int, most: int, rng: np.random.Generator) -> str:
    count = int(rng.integers(least, most + 1))
    word = "".join(syllables[i] for i in rng.integers(0, len(syllables), count))
    return word[:1].upper() + word[1:]


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def invent_names(
    tongue: str, count: int, *, taken: set[str], rng: np.random.Generator
) -> list[str]:
    """Return `count` artist names of a language family, none twice.

    Parameters
    ----------
    tongue
        A key of `TONGUES`.
    count
        How many.
    taken
        Case-folded names that may not come again; the new ones are added.
    rng
        The source of chance.
    """
    family = TONGUES[tongue]
    syllables = family.syllables.split()
    least, most = family.syllables_per_word
    names: list[str] = []
    while len(names) < count:
        pattern = family.patterns[int(rng.integers(0, len(family.patterns)))]
        words = [_word(syllables, least, most, rng) for _ in range(pattern.count("{}"))]
        name = pattern.format(*words)
        while _key(name) in taken:
            name = f"{name} {_word(syllables, least, most, rng)}"
        taken.add(_key(name))
        names.append(name)
    return names
