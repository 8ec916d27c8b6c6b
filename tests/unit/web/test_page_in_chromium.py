"""The page as its user sees it, in a headless Chromium."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from listening.errors import RequestError, ResourceError
from ops.country.page import serving

from .conftest import WEB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Browser, Tab

pytestmark = pytest.mark.process

OTHERS = ["FR", "GB", "US", "BR", "JP", "AU", "ZA", "MX"]
COUNTRIES = {
    "IS": ("Iceland", 0.62),
    "NO": ("Norway", 0.2),
    "MT": ("Malta", 0.1),
    "DE": ("Germany", 0.05),
    **{
        code: (f"Country {code}", 0.03 / 8)
        for code in ["FR", "GB", "US", "BR", "JP", "AU", "ZA", "MX"]
    },
}
ARTISTS = ["Björk", "Sigur Rós", "Sinéad O'Connor", "The Beatles", "<b>Bold</b>", "Muse"]
INDEX = {"format_version": 1, "size": len(ARTISTS), "artists": ARTISTS}


@dataclass
class Source:
    """An environment that knows `ARTISTS`."""

    version: str = "abc123"
    synthetic: bool = False
    error: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def champion(self) -> str:
        return self.version

    def artist_file(self, version: str, name: str) -> bytes:
        if version == "prior":
            raise RequestError("no bundle was trained yet", status=404)
        assert (version, name) == (self.version, "index.json")
        return json.dumps(INDEX).encode()

    def ask(self, question: bytes) -> bytes:
        if self.error:
            raise self.error
        asked = json.loads(question)
        self.asked.append(asked)
        names = [artist["artist_name"] for artist in asked["top_artists"]]
        known = [name for name in names if name in ARTISTS]
        answer = {
            "countries": [
                {"country": code, "name": name, "probability": share}
                for code, (name, share) in COUNTRIES.items()
            ],
            "regions": [
                {"region": "nordics", "name": "Nordics", "probability": 0.82},
                {"region": "rest", "name": "Elsewhere", "probability": 0.18},
            ],
            "known_artists": len(known),
            "unknown_artists": len(names) - len(known),
            "prior": not known,
            "bundle_version": self.version,
        }
        if self.synthetic:
            answer["synthetic"] = True
        if known:
            answer["explanation"] = {
                "answer": "IS",
                "artists": [
                    {"artist_name": name, "contribution": 1 - 0.75 * i}
                    for i, name in enumerate(known)
                ],
                "other": 0.1,
            }
        return json.dumps(answer).encode()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def address(source: Source) -> Iterator[str]:
    with serving(source, web=WEB, port=0) as running:
        yield running


@pytest.fixture
def tab(browser: Browser, address: str) -> Iterator[Tab]:
    opened = browser.open(address)
    opened.prefer(reduced_motion="reduce")
    yield opened
    complaints = opened.complaints()
    opened.close()
    assert complaints == []


def add(tab: Tab, name: str) -> None:
    tab.focus("#artist")
    tab.type(name)
    tab.press("Enter")


def ask(tab: Tab) -> None:
    tab.click("#ask")
    tab.wait("!document.querySelector('#results').hidden")


def artists(tab: Tab) -> list[str]:
    names: list[str] = tab.js(
        "[...document.querySelectorAll('.artists .name')].map(n => n.innerText)"
    )
    return names


def test_an_artist_is_chosen_by_keyboard_as_one_types(tab: Tab) -> None:
    assert tab.text("#size") == "the bundle’s 6 artists"
    tab.focus("#artist")
    tab.type("ros")
    tab.wait("document.querySelectorAll('[role=option]').length === 1")
    assert tab.js("document.querySelector('#artist').getAttribute('aria-expanded')") == "true"
    tab.press("ArrowDown")
    active = tab.js("document.querySelector('#artist').getAttribute('aria-activedescendant')")
    assert tab.text(f"#{active}") == "Sigur Rós"
    assert tab.js(f"document.querySelector('#{active}').getAttribute('aria-selected')") == "true"
    tab.press("Enter")
    assert artists(tab) == ["Sigur Rós"]
    assert tab.js("document.querySelector('#artist').getAttribute('aria-expanded')") == "false"
    assert tab.text("#status") == "Sigur Rós added, 1 artist in the list."
    tab.type("b")
    tab.wait("document.querySelectorAll('[role=option]').length === 3")
    tab.press("Escape")
    assert tab.js("document.querySelector('#suggestions').hidden")


def test_a_listener_gets_an_answer(tab: Tab, source: Source) -> None:
    for name in ("Sigur Rós", "Björk", "Nobody Knows Them"):
        add(tab, name)
    tab.focus(".artists .plays")
    tab.type("1,411")
    ask(tab)
    assert source.asked == [
        {
            "top_artists": [
                {"artist_name": "Sigur Rós", "playcount": 1411},
                {"artist_name": "Björk"},
                {"artist_name": "Nobody Knows Them"},
            ],
            "k": 1000,
            "explain": True,
        }
    ]
    verdict = tab.text("#verdict")
    assert "Most likely" in verdict
    assert "Iceland\n62%" in verdict
    assert "then Norway 20%, Malta 10%, Germany 5.0%" in verdict
    assert "2 artists known, 1 not." in verdict
    assert "prior" not in verdict
    assert tab.text("#status") == "Most likely Iceland, 62%."
    assert artists(tab)[2].split("\n")[0] == "Nobody Knows Them not known"
    assert "Norway" in tab.text("#countries")
    assert "20.0%" in tab.text("#countries")
    assert "Nordics\n82.0%" in tab.text("#regions").replace("\t", "\n").replace("\n\n", "\n")
    assert "+1.00" in tab.text("#drivers")
    assert "Iceland" in tab.text("#why-lead")
    assert tab.text("#bundle") == "Bundle abc123."
    assert tab.js("document.querySelector('#synthetic').hidden")


def test_the_map_shows_the_answer(tab: Tab) -> None:
    add(tab, "Björk")
    ask(tab)
    classes = {
        code: tab.js(f"document.querySelector('[data-country={code}]').getAttribute('class')")
        for code in ("IS", "NO", "DE", "FR", "MT", "CN")
    }
    assert classes == {
        "IS": "land p5",
        "NO": "land p3",
        "DE": "land p2",
        "FR": "land p0",
        "MT": "dot p3",
        "CN": "land",
    }
    label = tab.js("document.querySelector('#map').getAttribute('aria-label')")
    assert label.startswith("Map of the world by probability: Iceland 62%, Norway 20%")
    world = tab.js("document.querySelector('#map').viewBox.baseVal.width")
    tab.click("#close")
    assert tab.js("document.querySelector('#map').viewBox.baseVal.width") < world / 3
    tab.click("#wide")
    assert tab.js("document.querySelector('#map').viewBox.baseVal.width") == world


def test_long_tables_are_folded(tab: Tab) -> None:
    add(tab, "Björk")
    ask(tab)
    visible = "[...document.querySelectorAll('#countries tr')].filter(r => !r.hidden).length"
    assert tab.js(visible) == 10
    assert tab.text("#more-countries") == "Show all 12 countries"
    tab.click("#more-countries")
    assert tab.js(visible) == 12


def test_only_a_prior_is_said(tab: Tab) -> None:
    add(tab, "Nobody")
    ask(tab)
    assert "Only a prior." in tab.text("#verdict")
    assert "Most frequent" in tab.text("#verdict")
    assert tab.js("document.querySelector('#why').hidden")


def test_synthetic_bundles_are_labelled(tab: Tab, source: Source) -> None:
    source.synthetic = True
    add(tab, "Muse")
    ask(tab)
    assert "SYNTHETIC bundle." in tab.text("#synthetic")


def test_names_are_text_and_never_markup(tab: Tab) -> None:
    add(tab, "<b>Bold</b>")
    add(tab, "<img src=x onerror=document.title='hacked'>")
    ask(tab)
    assert artists(tab)[0] == "<b>Bold</b>"
    assert "<b>Bold</b>" in tab.text("#drivers")
    assert tab.js("document.title") == "listening"
    assert tab.js("document.querySelectorAll('main b, main img').length") == tab.js(
        "document.querySelectorAll('.notice b').length"
    )


def test_a_list_is_pasted_and_an_answer_grows_old(tab: Tab) -> None:
    add(tab, "Muse")
    ask(tab)
    tab.js("document.querySelector('#paste').open = true")
    tab.focus("#list")
    tab.type("Muse, 3\nBjörk, 1034\n")
    tab.click("#list-take")
    assert artists(tab) == ["Björk", "Muse"]
    assert tab.js("document.querySelector('.plays').value") == "1034"
    assert "ask again" in tab.text("#verdict")
    ask(tab)
    tab.wait("!document.querySelector('.stale')")
    assert "ask again" not in tab.text("#verdict")


def test_an_export_is_read_from_a_file(tab: Tab) -> None:
    rows = "".join(f"Artist {i % 60},album,track,01 Jan 2020 10:00\\n" for i in range(180))
    tab.js(
        "(() => { const files = new DataTransfer();"
        f"files.items.add(new File(['{rows}'], 'export.csv'));"
        "const input = document.querySelector('#list-file');"
        "input.files = files.files; input.dispatchEvent(new Event('change')); })()"
    )
    tab.wait("document.querySelectorAll('.artists li').length === 50")
    assert tab.text("#problem") == "50 artists taken: the 50 most played of 60."
    assert tab.js("document.querySelector('#total').value") == "180"


@pytest.mark.parametrize(
    ("plays", "problem"),
    [("many", "Plays of Muse: “many” is no number from 0."), ("-3", "“-3” is no number")],
)
def test_wrong_plays_are_shown_where_they_are(
    tab: Tab, source: Source, plays: str, problem: str
) -> None:
    add(tab, "Muse")
    tab.focus(".plays")
    tab.type(plays)
    tab.click("#ask")
    assert problem in tab.text("#problem")
    assert tab.js("document.activeElement.getAttribute('aria-invalid')") == "true"
    assert not source.asked


def test_nobody_is_no_listener(tab: Tab, source: Source) -> None:
    tab.click("#ask")
    assert tab.text("#problem") == "Add at least one artist."
    assert tab.js("document.activeElement.id") == "artist"
    assert not source.asked


def test_the_same_artist_is_not_added_twice(tab: Tab) -> None:
    add(tab, "Björk")
    add(tab, "bjork")
    assert artists(tab) == ["Björk"]
    assert tab.text("#problem") == "Björk is in the list already."


def test_artists_are_removed_and_kept_over_a_reload(tab: Tab) -> None:
    for name in ("Muse", "Björk", "Sigur Rós"):
        add(tab, name)
    tab.click(".artists li:nth-child(2) .remove")
    assert artists(tab) == ["Muse", "Sigur Rós"]
    assert tab.js("document.activeElement.getAttribute('aria-label')") == "Remove Sigur Rós"
    tab.js("document.documentElement.removeAttribute('data-ready')")
    tab.call("Page.reload")
    tab.wait("document.documentElement?.dataset.ready")
    assert artists(tab) == ["Muse", "Sigur Rós"]
    tab.click("#clear")
    assert artists(tab) == []


def test_an_example_is_one_click_away(tab: Tab) -> None:
    tab.click("#example")
    tab.wait("document.querySelectorAll('.artists li').length")
    assert sorted(artists(tab)) == sorted(ARTISTS)


@pytest.mark.parametrize(
    "error",
    [
        RequestError("top_artists[0].artist_name: must be text"),
        ResourceError("endpoint listening-local-endpoint cannot answer"),
    ],
)
def test_what_goes_wrong_is_told(
    browser: Browser, address: str, source: Source, error: Exception
) -> None:
    source.error = error
    tab = browser.open(address)
    add(tab, "Muse")
    tab.click("#ask")
    tab.wait("document.querySelector('#problem').textContent")
    assert tab.text("#problem") == str(error)
    assert tab.text("#ask") == "Find the country"
    tab.close()


def test_a_server_that_is_gone_is_told(browser: Browser, address: str) -> None:
    tab = browser.open(address)
    add(tab, "Muse")
    tab.call(
        "Network.emulateNetworkConditions",
        offline=True,
        latency=0,
        downloadThroughput=-1,
        uploadThroughput=-1,
    )
    tab.click("#ask")
    tab.wait("document.querySelector('#problem').textContent")
    assert tab.text("#problem").startswith("The server cannot be reached.")
    tab.close()


def test_before_any_training_names_are_typed_in_full(
    browser: Browser, address: str, source: Source
) -> None:
    source.version = "prior"
    tab = browser.open(address)
    assert "No bundle was trained yet." in tab.text("#untrained")
    assert "no suggestions" in tab.text("#artist-hint")
    add(tab, "Nobody")
    ask(tab)
    assert "Only a prior." in tab.text("#verdict")
    tab.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (768, 1024), (375, 812), (320, 640)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_any_screen_and_can_be_read(
    tab: Tab, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    tab.prefer(color_scheme=scheme, reduced_motion="reduce")
    tab.resize(width, height)
    for name in ("Björk", "Sinéad O'Connor", "Nobody" * 30):
        add(tab, name)
    ask(tab)
    assert tab.js("document.documentElement.scrollWidth") <= width
    faint = tab.js(_CONTRAST)
    assert faint == []
    small = tab.js(
        "[...document.querySelectorAll('main button, main input[type=text], main summary')]"
        ".filter(e => e.offsetParent && Math.min(e.offsetWidth, e.offsetHeight) < 24)"
        ".map(e => e.outerHTML)"
    )
    assert small == []
    tab.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_everything_to_press_or_fill_has_a_name(tab: Tab) -> None:
    add(tab, "Björk")
    ask(tab)
    tab.js("document.querySelectorAll('details').forEach(d => d.open = true)")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "textbox", "searchbox", "listbox", "img", "table", "link"}
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in roles
    ]
    assert len(found) > 10
    assert [role for role, name in found if not name.strip()] == []


_CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, alpha = 1] = parse(getComputedStyle(e).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!own || !seen || element.matches(":disabled, noscript, .skip")) continue;
    const ink = light(parse(getComputedStyle(element).color));
    const paper = light(ground(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
  }
  return faint;
})()
"""
