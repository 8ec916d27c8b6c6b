"""The report of a bundle, and the form of its ``evaluation.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from charts.drawings import week_chart
from listening.charts.bundle import WORLD
from listening.countries import country_name
from listening.regions import default_regions
from report_frame import render

if TYPE_CHECKING:
    from charts.data import ChartsManifest
    from charts.judging import Evaluation
    from gate import Decision
    from listening.charts.bundle import ChartsBundle

TEMPLATE = Path(__file__).with_name("report.html.j2")
NAMES = {
    "hit10": "a hit among 10",
    "hit50": "a hit among 50",
    "ndcg10": "NDCG at 10",
    "ndcg50": "NDCG at 50",
    "reached": "listeners ever reached by 50",
}
SHOWN = (
    *("hit10", "ndcg10", "hit50", "ndcg50", "hit10_new", "ndcg10_new", "hit50_new", "ndcg50_new"),
    "reached",
)
TRACKS_SHOWN, PLACES_SHOWN = 20, 12


def pretty(name: str) -> str:
    """Write a metric's or method's name for a reader."""
    base = name.removesuffix("_new")
    words = NAMES.get(base, base.replace("_", " "))
    return f"{words}, not heard before" if base != name else words


def place_name(place: str) -> str:
    """Return a place's English name."""
    if place == WORLD:
        return "the world"
    regions = {region.slug: region.name for region in default_regions().regions}
    return regions.get(place) or country_name(place)


def evaluation_json(
    manifest: ChartsManifest,
    bundle: ChartsBundle,
    evaluation: Evaluation,
    champion: ChartsBundle | None,
) -> dict[str, Any]:
    """Return what ``evaluation.json`` holds, but for the gate's decision; as `report`."""
    return {
        "format_version": 1,
        "bundle_version": bundle.archive.version,
        "synthetic": manifest.synthetic,
        "features_run": manifest.run,
        "method": manifest.method,
        "metrics": {n: one.value for n, one in evaluation.intervals[manifest.method].items()},
        "methods": {
            name: {metric: one.to_json() for metric, one in metrics.items()}
            for name, metrics in evaluation.intervals.items()
        },
        "differences": {
            name: {metric: one.to_json() for metric, one in metrics.items()}
            for name, metrics in evaluation.differences.items()
        },
        "champion": {
            "version": champion.archive.version if champion else None,
            "method": champion.lists.method if champion else None,
            "differences": {m: one.to_json() for m, one in evaluation.against_champion.items()},
        },
        "turnover": manifest.document["turnover"],
        "weeks": evaluation.weeks,
        "places": sorted(bundle.lists.tracks["week"]),
    }


def report(
    manifest: ChartsManifest,
    bundle: ChartsBundle,
    evaluation: Evaluation,
    champion: ChartsBundle | None,
    decision: Decision,
) -> str:
    """Return the report's HTML.

    Parameters
    ----------
    manifest
        Of the charts run.
    bundle
        What was judged.
    evaluation
        How it did.
    champion
        The one that is served, if it can be compared with.
    decision
        What the gate decided.
    """
    windows = bundle.lists.windows
    return render(
        TEMPLATE,
        decision,
        system="charts",
        version=bundle.archive.version,
        synthetic=manifest.synthetic,
        pretty=pretty,
        manifest=manifest,
        lists=bundle.lists,
        evaluation=evaluation,
        document=evaluation_json(manifest, bundle, evaluation, champion),
        shown=SHOWN,
        own=evaluation.intervals[manifest.method],
        tracks=TRACKS_SHOWN,
        places={
            place: place_name(place)
            for place in list(bundle.lists.tracks["week"])
            if place != WORLD
        },
        most_places=PLACES_SHOWN,
        charts={window: week_chart(evaluation.weeks, window) for window in windows},
    )
