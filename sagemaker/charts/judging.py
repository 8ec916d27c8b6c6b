"""The judge of charts' bundles: the served method beside the others, by what was played next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from charts.data import ChartsManifest, Judged, read_judged, read_lists, read_weeks, summary
from charts.model_card import model_card
from charts.report import evaluation_json, report
from judgement import Judgement
from listening.archive import ArchiveWriter, load
from listening.charts.bundle import BUNDLE, ChartsBundle
from listening.errors import ArchiveError, DataError
from listening.intervals import bootstrap

if TYPE_CHECKING:
    from judgement import Case
    from listening.archive import Archive
    from listening.intervals import Interval

EMPTY = "empty_list"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How the lists did.

    Parameters
    ----------
    intervals
        Metrics with intervals over listeners, by method.
    differences
        The served method's minus another's, paired.
    against_champion
        The same minus those of the champion's method.
    weeks
        Hits among the first ten by week, window and method.
    """

    intervals: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Interval]]
    against_champion: dict[str, Interval]
    weeks: list[dict[str, Any]]


def judge(case: Case) -> Judgement:
    """Write the bundle and judge it.

    Channels: ``features`` (the manifest), ``lists``, ``judged`` and ``weeks``.
    """
    job = case.job
    manifest = ChartsManifest.read(job.channel("features"))
    archive = ArchiveWriter(job.model_folder)
    archive.finish(
        BUNDLE,
        read_lists(job.channel("lists"), manifest).write(archive),
        created_from={"features_run": manifest.run},
        synthetic=manifest.synthetic,
        check=ChartsBundle,
    )
    bundle = ChartsBundle(load(job.model_folder))
    judged = read_judged(job.channel("judged"))
    if manifest.method not in judged:
        raise DataError(f"method '{manifest.method}' was not judged; run the charts job anew")
    shape = judged[manifest.method].sums.shape
    judged[EMPTY] = Judged(np.zeros(shape), judged[manifest.method].counts)
    intervals, differences = bootstrap(
        judged, summary, against=[(manifest.method, name) for name in judged]
    )
    found = {name: one for (_, name), one in differences.items()}
    champion = _champion(case.champion, manifest)
    evaluation = Evaluation(
        intervals=intervals,
        differences={name: one for name, one in found.items() if name != manifest.method},
        against_champion=found[champion.lists.method] if champion else {},
        weeks=read_weeks(job.channel("weeks")),
    )
    own = {name: one.value for name, one in intervals[manifest.method].items()}
    return Judgement(
        version=bundle.archive.version,
        metrics=own,
        differences=found,
        against_champion=evaluation.against_champion,
        document=evaluation_json(manifest, bundle, evaluation, champion),
        report=partial(report, manifest, bundle, evaluation, champion),
        card=partial(model_card, manifest, bundle, evaluation),
        rules={"method": manifest.method},
    )


def _champion(archive: Archive | None, manifest: ChartsManifest) -> ChartsBundle | None:
    """Return the champion, if its method was judged as it makes lists."""
    if archive is None:
        return None
    try:
        found = ChartsBundle(archive)
    except ArchiveError as error:
        print(f"the champion cannot be compared with: {error}")
        return None
    if dict(found.lists.half_lives) != dict(manifest.half_lives):
        print("the champion cannot be compared with: its last plays decay at another rate")
        return None
    return found
