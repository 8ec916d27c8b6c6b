"""Which listeners the models learn from: those of countries that are large enough."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from listening.countries import country_code, country_name, is_no_country
from listening.country.splits import BUCKETS, SALT, SPLITS, TRAIN_BUCKETS, VALIDATION_BUCKETS
from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame

    from listening.regions import RegionTable

Counts = dict[str, int]
"""Listeners by split."""


def bucket(salt: str, buckets: int) -> Column:
    """Return the bucket of ``user_id`` in ``range(buckets)``: see `listening.country.splits`."""
    digest = F.sha2(F.concat(F.lit(f"{salt}:"), F.col("user_id")), 256)
    return (F.conv(F.substring(digest, 1, 8), 16, 10).cast("long") % buckets).cast("int")


def split() -> Column:
    """Return the split of ``user_id``: 80% train, 10% validation, 10% test."""
    place = bucket(SALT, BUCKETS)
    return (
        F.when(place < TRAIN_BUCKETS, SPLITS[0])
        .when(place < TRAIN_BUCKETS + VALIDATION_BUCKETS, SPLITS[1])
        .otherwise(SPLITS[2])
    )


def fold(folds: int) -> Column:
    """Return the fold of ``user_id`` in ``range(folds)``, independent of the split."""
    return bucket(f"{SALT}:fold", folds)


@dataclass(frozen=True)
class Selection:
    """The countries that are kept, and what is not.

    Parameters
    ----------
    regions
        The region table with only the kept countries, of the regions that have any.
    counts
        Kept country to its listeners by split.
    labels
        Raw label to kept country.
    dropped
        Countries that are left out, with name, listeners and reason.
    no_country
        Listeners whose label says that there is none.
    unknown_labels
        Label that names no country we know to its listeners, the most frequent first.
    """

    regions: RegionTable
    counts: dict[str, Counts]
    labels: dict[str, str]
    dropped: list[dict[str, Any]]
    no_country: int
    unknown_labels: dict[str, int]

    @cached_property
    def countries(self) -> list[str]:
        """The kept countries, by region and then by code: the order of the affinities."""
        return [country for region in self.regions.regions for country in region.countries]

    def quality(self) -> dict[str, Any]:
        """Return listeners in, listeners kept by split, and listeners dropped by reason."""
        dropped = {
            "no_country": self.no_country,
            "unknown_label": sum(self.unknown_labels.values()),
        }
        for entry in self.dropped:
            dropped[entry["reason"]] = dropped.get(entry["reason"], 0) + entry["listeners"]
        kept = {name: sum(counts[name] for counts in self.counts.values()) for name in SPLITS}
        return {
            "rows_in": sum(kept.values()) + sum(dropped.values()),
            "rows_out": kept,
            "dropped": dropped,
            "unknown_labels": self.unknown_labels,
            "dropped_countries": self.dropped,
        }

    def apply(self, listeners: DataFrame, *, folds: int) -> DataFrame:
        """Return the kept listeners with ``country`` as code and ``split``, ``fold``, ``label``.

        ``label`` is the place of the country in `countries`, ``region`` the slug of its region.
        """
        place = {country: i for i, country in enumerate(self.countries)}
        rows = [
            (label, country, self.regions.region_of[country], place[country])
            for label, country in self.labels.items()
        ]
        table = listeners.sparkSession.createDataFrame(
            rows, "country string, code string, region string, label short"
        )
        return (
            listeners.join(F.broadcast(table), "country")
            .drop("country")
            .withColumnRenamed("code", "country")
            .withColumn("split", split())
            .withColumn("fold", fold(folds).cast("short"))
        )


def count_labels(listeners: DataFrame) -> dict[str | None, Counts]:
    """Count cleaned listeners by raw country label and split."""
    rows = listeners.groupBy("country", split().alias("split")).count().collect()
    counts: dict[str | None, Counts] = defaultdict(lambda: dict.fromkeys(SPLITS, 0))
    for row in rows:
        counts[row["country"]][row["split"]] += row["count"]
    return dict(counts)


def select(
    labels: Mapping[str | None, Counts], regions: RegionTable, *, least: int, source: str
) -> Selection:
    """Decide which countries are kept.

    Parameters
    ----------
    labels
        What `count_labels` returned.
    regions
        The region table.
    least
        Fewest listeners of a country.
    source
        The table of listeners, for the error.

    Raises
    ------
    DataError
        No country, or only one, is left.
    """
    counts: dict[str, Counts] = defaultdict(lambda: dict.fromkeys(SPLITS, 0))
    label_codes: dict[str, str] = {}
    unknown: dict[str, int] = {}
    no_country = 0
    for label, by_split in labels.items():
        code = country_code(label)
        if label is None or (code is None and is_no_country(label)):
            no_country += sum(by_split.values())
        elif code is None:
            unknown[label] = sum(by_split.values())
        else:
            label_codes[label] = code
            for name in SPLITS:
                counts[code][name] += by_split[name]
    reasons = {
        code: reason
        for code, by_split in counts.items()
        if (reason := _reason(code, by_split, regions, least))
    }
    kept = set(counts) - set(reasons)
    if len(kept) < 2:
        raise DataError(
            f"{source}: {len(kept)} countries have at least {least} listeners and listeners in "
            "every split, but 2 are needed; give more listeners with a country, or lower "
            "--min_listeners_per_country"
        )
    return Selection(
        regions=regions.restricted_to(kept),
        counts={code: counts[code] for code in sorted(kept)},
        labels={label: code for label, code in sorted(label_codes.items()) if code in kept},
        dropped=[
            {
                "country": code,
                "name": country_name(code),
                "listeners": sum(counts[code].values()),
                "reason": reasons[code],
            }
            for code in sorted(reasons, key=lambda c: (-sum(counts[c].values()), c))
        ],
        no_country=no_country,
        unknown_labels=dict(sorted(unknown.items(), key=lambda item: (-item[1], item[0]))),
    )


def _reason(code: str, counts: Counts, regions: RegionTable, least: int) -> str | None:
    """Return why a country is left out; None if it is kept."""
    if code not in regions.region_of:
        return "not_in_region_table"
    if sum(counts.values()) < least:
        return "too_few_listeners"
    return "missing_in_a_split" if not all(counts.values()) else None
