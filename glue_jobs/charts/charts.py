"""Glue job: raw plays to what is hot, by window and place, and how such lists did.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
batch = latest
    The batch under ``raw/``.
method = decayed
    Of the lists: decayed, listeners, capped, plays, published or rising; the others are judged too.
half_life_days = 14
    Days after which a listener's last play counts half in the week's list; in the month's, 30 / 14
    times as many.
least_listeners = 3
    A track with fewer is in no list.
judged_weeks = 12
    Lists of so many weeks before the last are judged by the week that follows each.
max_dropped_share = 0.2
    Largest accepted share of plays that cleaning drops.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from glue_jobs.charts.charting import (
    WEEK,
    Judging,
    Plan,
    judge,
    lists,
    placed_parts,
    turnover,
)
from glue_jobs.charts.hearing import clean_events, heard
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.log_days import log_of
from glue_jobs.plays import clean_plays
from glue_jobs.quality import Limits
from glue_jobs.raw import RawBatch, chosen_batch
from glue_jobs.runs import publish
from glue_jobs.storage import Storage
from listening.charts.judging import MEASURES
from listening.charts.parts import HALF_LIVES, WINDOWS
from listening.charts.scores import LEAST_LISTENERS, METHODS, TWICE
from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from listening.resources import QUALITY, RAW, output
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from pyspark.sql import DataFrame

SYSTEM = SYSTEMS["charts"]
CHARTS = output(SYSTEM.name, "charts")
ROWS_PER_BATCH = 100_000
MOST_JUDGED = 20_000
"""Listeners, about, for whom lists are judged."""
LIMITS = {"max_dropped_share": 0.2}
ARGUMENTS = (
    *("data_uri", "batch", "method", "half_life_days", "least_listeners", "judged_weeks"),
    *LIMITS,
)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, call the functions, write tables and then the manifest."""
    arguments, now = Arguments(argv, ARGUMENTS), datetime.now(UTC)
    limits = Limits.of(arguments, LIMITS)
    method = arguments.one_of("method", METHODS)
    half_life = arguments.get("half_life_days", HALF_LIVES["week"], least=1)
    least = arguments.get("least_listeners", LEAST_LISTENERS, least=1)
    judged_weeks = arguments.get("judged_weeks", 12, least=1)
    half_lives = {w: half_life * days / HALF_LIVES["week"] for w, days in HALF_LIVES.items()}
    run = arguments.run_id
    target = f"{CHARTS}{run}/"
    with job_session("charts", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        batch = chosen_batch(storage, arguments, system=SYSTEM.name, needs=SYSTEM.needs)
        LOG.info("charts of batch %s, to %s", batch, storage.uri(target))
        raw = RawBatch.find(storage, batch, needs=SYSTEM.needs)
        log = clean_plays(raw.read("plays"), now=now)
        plays = log.plays.where(~F.col("is_bot"))
        looked = clean_events(raw.read("events"), now=now)
        everything = heard(plays, looked.events, raw.read("users"), run=run).persist()
        by_day = everything.groupBy("day").agg(F.countDistinct("number").alias("n")).collect()
        quality: dict[str, Any] = {"log": log.quality(), "events": looked.quality()}
        limits.check(
            "max_dropped_share",
            1 - quality["log"]["rows_out"] / max(quality["log"]["rows_in"], 1),
            "the share of plays that are dropped",
        )
        if not by_day:
            raise DataError(f"{storage.uri(RAW + batch)}: no plays of people in it")
        first, last = log_of({row["day"]: row["n"] for row in by_day})
        plan = Plan(
            end=last + 1,
            weeks=weeks(first, last + 1, judged_weeks),
            method=method,
            least=least,
            half_lives=half_lives,
        )
        if not plan.weeks:
            raise DataError(
                f"{storage.uri(RAW + batch)}: the log has {last - first + 1} days; at least "
                f"{max(WINDOWS.values()) + WEEK} are needed, to judge a list by a week"
            )
        found = lists(placed_parts(everything, plan), plan).toPandas()
        ranks = ranks_of(found[found["is_judged"]])
        published = marked(found[~found["is_judged"]], plan)
        if published.empty:
            raise DataError(
                f"{storage.uri(RAW + batch)}: no track has {least} listeners; give a larger log, "
                "or a smaller --least_listeners"
            )
        named = with_names(spark.createDataFrame(published), raw.read("tracks"), log.plays)
        named.write.mode("overwrite").parquet(storage.uri(f"{target}lists/"))
        judged = judge(everything, Judging(ranks), most_listeners=MOST_JUDGED).persist()
        by_listener(judged).write.mode("overwrite").parquet(storage.uri(f"{target}judged/"))
        by_week(judged).write.mode("overwrite").parquet(storage.uri(f"{target}weeks/"))
        listed = spark.read.parquet(storage.uri(f"{target}lists/"))
        quality["lists"] = counts(listed)
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        publish(
            storage,
            CHARTS,
            run,
            {
                "batch": batch,
                "rows": {"in": quality["log"]["rows_in"], "out": quality["log"]["rows_out"]},
                "inputs": storage.hashes(RAW + batch),
                "outputs": {"lists/": quality["lists"]["rows"]},
                "synthetic": storage.exists(f"{RAW}{batch}/{SYNTHETIC}"),
                "end": plan.end,
                "weeks": list(plan.weeks),
                "turnover": turnover(ranks),
                "parameters": {
                    "method": method,
                    "half_lives": half_lives,
                    "least_listeners": least,
                    "windows": dict(WINDOWS),
                },
                "versions": versions(),
            },
        )
        LOG.info("charts: published run %s", run)


def weeks(first: int, end: int, most: int) -> tuple[int, ...]:
    """Return the dates of lists that are judged: the week after each is inside the log.

    Parameters
    ----------
    first, end
        The log's first day, and the day after its last.
    most
        How many.
    """
    begins = first + max(WINDOWS.values())
    return tuple(range(end - WEEK, begins - 1, -WEEK))[:most][::-1]


def ranks_of(listed: pd.DataFrame) -> dict[tuple[int, str, str], dict[str, int]]:
    """Return ranks from 0 by track, by date, window and method."""
    names = ["date", "window", "method", "track", "rank"]
    found: dict[tuple[int, str, str], dict[str, int]] = {}
    for date, window, method, track, rank in listed[names].to_numpy().tolist():
        found.setdefault((int(date), window, method), {})[track] = int(rank) - 1
    return found


def marked(listed: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """Return the lists of now, with ranks of a week before, and marks of new and rising tracks."""
    keys = ["window", "place", "track"]
    now, before = (listed[listed["date"] == date] for date in plan.published)
    before = before[[*keys, "rank"]].rename(columns={"rank": "previous_rank"})
    found = now.merge(before, "left", keys)
    known = set(before["place"])
    found["is_new"] = found["previous_rank"].isna() & found["place"].isin(known)
    found["is_rising"] = found["trend"] >= TWICE
    found["previous_rank"] = found["previous_rank"].astype("Int32").astype(object)
    found["previous_rank"] = found["previous_rank"].where(found["previous_rank"].notna(), None)
    return found.drop(columns=["date", "is_judged"]).sort_values([*keys[:2], "rank"])


def with_names(listed: DataFrame, tracks: DataFrame, plays: DataFrame) -> DataFrame:
    """Return lists with the tracks' ids and names, from the table of tracks or else from plays."""
    told = [F.coalesce(name, F.lit("")) for name in ("artist_name", "track_name")]
    own = plays.select(
        F.coalesce("track_id", F.concat_ws("\t", *told)).alias("track"),
        *("track_id", "artist_name", "track_name"),
    )
    keys = listed.select("track").distinct()
    wanted = ("track_id", "artist_name", "track_name")
    of_plays = own.join(F.broadcast(keys), "track").groupBy("track")
    of_tracks = tracks.withColumn("track", F.col("track_id")).join(F.broadcast(keys), "track")
    first = of_tracks.groupBy("track").agg(*(F.max(n).alias(f"own_{n}") for n in wanted[1:]))
    second = of_plays.agg(*(F.max(n).alias(n) for n in wanted))
    rows = listed
    for names in (second, first):
        rows = rows.join(F.broadcast(names), "track", "left")
    for name in wanted[1:]:
        rows = rows.withColumn(name, F.coalesce(f"own_{name}", name)).drop(f"own_{name}")
    return rows.coalesce(1).sortWithinPartitions("window", "place", "rank")


def by_listener(judged: DataFrame) -> DataFrame:
    """Return each listener's sums over the weeks, and over how many, by window and method."""
    return judged.groupBy("window", "method", "listener").agg(*_sums())


def by_week(judged: DataFrame) -> DataFrame:
    """Return the sums over the listeners, and over how many, by week, window and method."""
    return judged.groupBy("date", "window", "method").agg(*_sums()).coalesce(1)


def _sums() -> list[Any]:
    sums = [F.sum(name).alias(name) for name in MEASURES]
    return [*sums, *(F.count(name).cast("double").alias(f"n_{name}") for name in MEASURES)]


def counts(listed: DataFrame) -> dict[str, Any]:
    """Return how long the lists are, tracks without a name in them, and ties."""
    in_order = Window.partitionBy("window", "place").orderBy("rank")
    tied = F.col("score") == F.lag("score").over(in_order)
    found = (
        listed.withColumn("tied", tied)
        .agg(
            F.count(F.lit(1)),
            F.countDistinct("place"),
            F.count_if(F.col("track_name").isNull()),
            F.count_if(F.col("tied")),
        )
        .first()
    )
    assert found is not None
    return dict(zip(("rows", "places", "without_name", "tied"), map(int, found), strict=True))


if __name__ == "__main__":
    main(sys.argv)
