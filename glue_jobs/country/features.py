"""Glue job: cleaned listeners and artist vectors to features by split and region.

Arguments, beside AWS's own
---------------------------
data_uri
    The data bucket, ``s3://<bucket>/``.
embeddings_run = latest
    The run of `embeddings` to read; in a workflow, the one of the same workflow run.
min_listeners_per_country = 50
    Countries with fewer listeners are left out.
folds = 3
    Folds of the train and validation listeners, for affinities that never saw a listener's label.
min_listeners = 3
    Artists with fewer train and validation listeners have no affinity.
strength = 0.12
    C of the logistic regression.
iterations = 60
    Its most steps.
max_regression_listeners = 100000
    It sees at most about so many train and validation listeners, chosen by hash.
max_unusable_country_share = 0.9
    Largest accepted share of listeners whose country is not kept.
max_label_shift = 0.25
    Largest accepted population stability index of the countries against the last run.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Observation
from pyspark.sql import functions as F

from glue_jobs.arrow import frame_of, matrix_rows, read_listeners
from glue_jobs.country.affinity import Affinities, Regression, fit
from glue_jobs.country.featuriser import Featuriser, artist_features, feature_layout, listener_frame
from glue_jobs.country.packing import PLAYS_PER_PASS, pack
from glue_jobs.country.quality import LABELS, check_features, label_shift
from glue_jobs.country.selection import Selection, bucket, count_labels, select
from glue_jobs.job import LOG, Arguments, job_session, versions
from glue_jobs.quality import Limits
from glue_jobs.runs import finished_run, publish
from glue_jobs.storage import Storage
from listening.countries import country_name
from listening.country.splits import SALT, SPLITS
from listening.errors import DataError
from listening.regions import default_regions
from listening.resources import LATEST, MANIFEST, QUALITY, output

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from listening.country.artist_table import ArtistFeatures

EMBEDDINGS, FEATURES = output("country", "embeddings"), output("country", "features")
ROWS_PER_BATCH = 10_000
LISTENERS_PER_FILE = 50_000
SAMPLE_BUCKETS = 1_000_000
TOLERANCE = 1e-4  # a tenth of it takes half as many passes again and changes the loss by 0.001


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How features are learned; see the arguments of the job."""

    min_listeners_per_country: int = 50
    folds: int = 3
    min_listeners: int = 3
    strength: float = 0.12
    iterations: int = 60
    max_regression_listeners: int = 100_000

    def __post_init__(self) -> None:
        """Refuse a single fold: whoever leaves it out has nobody to learn from."""
        if self.folds < 2:
            raise DataError(f"--folds is {self.folds}, but must be 2 or more")

    @classmethod
    def of(cls, arguments: Arguments) -> Parameters:
        """Read the parameters from the job's arguments."""
        return cls(**{f.name: arguments.get(f.name, getattr(cls, f.name)) for f in fields(cls)})


ARGUMENTS = ("data_uri", "embeddings_run", *(field.name for field in fields(Parameters)), *LABELS)


def main(argv: Sequence[str]) -> None:
    """Read arguments and tables, call the functions, write tables and then the manifest."""
    arguments = Arguments(argv, ARGUMENTS)
    parameters, limits = Parameters.of(arguments), Limits.of(arguments, LABELS)
    run = arguments.run_id
    target = f"{FEATURES}{run}/"
    with job_session("features", rows_per_batch=ROWS_PER_BATCH) as spark:
        storage = Storage(spark, arguments.data_uri)
        embeddings = finished_run(storage, arguments, system="country", job="embeddings")
        source = f"{EMBEDDINGS}{embeddings['run']}/"
        listeners = read_listeners(
            spark, storage.uri(f"{source}listeners/"), embeddings["partitions"]
        )
        LOG.info("features of %s, to %s", storage.uri(source), storage.uri(target))

        selection = select(
            count_labels(listeners),
            default_regions(),
            least=parameters.min_listeners_per_country,
            source=storage.uri(f"{source}listeners/"),
        )
        quality: dict[str, Any] = {"listeners": selection.quality()}
        storage.write_json(target + QUALITY, quality)
        LOG.info("quality: %s", quality)
        check_labels(selection, last_countries(storage, synthetic=embeddings["synthetic"]), limits)

        kept = selection.apply(listeners, folds=parameters.folds)
        artists = read_artists(spark, storage.uri(f"{source}artists/"))
        vectors = np.stack(artists["vector"].to_list()).astype(np.float32)
        fits, quality["regression"] = learn(kept, artists, vectors, selection, parameters)
        layout = feature_layout(
            selection.regions,
            dimensions=vectors.shape[1],
            total_scrobbles=embeddings["has_total_scrobbles"],
        )
        featuriser = Featuriser(pa.array(artists["artist_key"], pa.string()), fits, layout)
        quality["features"] = write_features(
            listener_frame(kept, featuriser),
            storage.uri(f"{target}listeners/"),
            listeners=sum(selection.quality()["rows_out"].values()),
        )
        check_features(quality["features"], layout.width)
        artist_frame(spark, artists, fits[-1]).write.mode("overwrite").parquet(
            storage.uri(f"{target}artists/")
        )
        kept.where(F.col("split") == "test").select(
            "user_id", "country", "total_scrobbles", "artist_keys", "playcounts"
        ).write.mode("overwrite").parquet(storage.uri(f"{target}plays/split=test/"))

        storage.write_json(target + QUALITY, quality)
        publish(
            storage,
            FEATURES,
            run,
            {
                "embeddings_run": embeddings["run"],
                "batch": embeddings["batch"],
                "rows": embeddings["rows"],
                "inputs": embeddings["inputs"],
                "outputs": {
                    "listeners/": quality["features"]["rows"],
                    "artists/": len(artists),
                    "plays/": sum(n["test"] for n in selection.counts.values()),
                },
                "synthetic": embeddings["synthetic"],
                "layout": layout.to_json(),
                "artist_constants": {
                    "affinity_bias": fits[-1].affinity_bias.tolist(),
                    "region_starts": fits[-1].region_starts.tolist(),
                },
                **described(selection),
                "folds": parameters.folds,
                "salt": SALT,
                "seed": embeddings["parameters"]["seed"],
                "parameters": {
                    "embeddings": embeddings["parameters"],
                    "features": asdict(parameters),
                },
                "versions": versions(),
            },
        )
        LOG.info("features: published run %s", run)


def last_countries(storage: Storage, *, synthetic: bool) -> dict[str, int] | None:
    """Return listeners by country of the last features run; None before the first.

    Invented listeners are never compared with real ones.
    """
    latest = storage.read_json(FEATURES + LATEST)
    manifest = storage.read_json(f"{FEATURES}{latest['run']}/{MANIFEST}") if latest else None
    if manifest is None or manifest["synthetic"] != synthetic:
        return None
    return {
        code: sum(entry[name] for name in SPLITS) for code, entry in manifest["countries"].items()
    }


def check_labels(selection: Selection, last: dict[str, int] | None, limits: Limits) -> None:
    """Check the share of listeners that are left out, and the countries against the last run."""
    quality = selection.quality()
    limits.check(
        "max_unusable_country_share",
        sum(quality["dropped"].values()) / max(quality["rows_in"], 1),
        "the share of listeners whose country is not kept",
    )
    if last:
        now = {code: sum(counts.values()) for code, counts in selection.counts.items()}
        limits.check(
            "max_label_shift",
            label_shift(now, last),
            "the shift of the countries against the last features run (PSI)",
        )


def read_artists(spark: SparkSession, uri: str) -> pd.DataFrame:
    """Return the artists of an `embeddings` run; a row's place is the artist's id."""
    return spark.read.parquet(uri).orderBy("artist_id").toPandas()


def learn(
    kept: DataFrame,
    artists: pd.DataFrame,
    vectors: npt.NDArray[np.float32],
    selection: Selection,
    parameters: Parameters,
) -> tuple[list[ArtistFeatures], dict[str, Any]]:
    """Fit the affinities on train and validation listeners; those of test are never seen.

    Returns
    -------
    fits
        What features are computed from, for each fold left out and at last for all.
    report
        How the fit went.
    """
    seen = sum(counts["train"] + counts["validation"] for counts in selection.counts.values())
    share = min(1.0, parameters.max_regression_listeners / seen)
    sample = kept.where(F.col("split") != "test").where(
        bucket(f"{SALT}:sample", SAMPLE_BUCKETS) < round(share * SAMPLE_BUCKETS)
    )
    plays = int(artists["listeners"].sum() * share)
    packed = pack(
        sample,
        pa.array(artists["artist_key"], pa.string()),
        partitions=-(-plays // PLAYS_PER_PASS),
    )
    region_place = {region.slug: i for i, region in enumerate(selection.regions.regions)}
    region_of = selection.regions.region_of
    regression = Regression(
        regions=np.array([region_place[region_of[c]] for c in selection.countries]),
        folds=parameters.folds,
        strength=parameters.strength,
        iterations=parameters.iterations,
        tolerance=TOLERANCE,
        min_listeners=parameters.min_listeners,
    )
    affinities = Affinities(
        **packed.apply(lambda listeners: vars(fit(listeners, vectors, regression)))
    )
    packed.forget()
    report = {
        "share_of_listeners": share,
        "artists": int((affinities.salience[-1] > 0).sum()),
        "passes": affinities.passes.tolist(),
        "log_loss_on_own_listeners": [round(float(loss), 4) for loss in affinities.loss],
    }
    LOG.info("regression: %s", report)
    return artist_features(vectors, affinities, selection.regions), report


def write_features(frame: DataFrame, uri: str, *, listeners: int) -> dict[str, int]:
    """Write features partitioned by split and region, and return what `check_features` checks.

    A region's listeners are spread over files by hash, so that no file grows with the data.
    """
    seen = Observation("features")
    width = F.size("features")
    files = -(-listeners // LISTENERS_PER_FILE)
    (
        frame.observe(
            seen,
            F.count(F.lit(1)).alias("rows"),
            F.sum(F.when(F.col("known") == 0, 1).otherwise(0)).alias("without_known_artist"),
            F.sum(F.when(F.col("in_range"), 0).otherwise(1)).alias("out_of_range"),
            F.min(width).alias("width_least"),
            F.max(width).alias("width_most"),
        )
        .drop("known", "in_range")
        .repartition(max(8, files), "split", "region", bucket(f"{SALT}:file", files))
        .sortWithinPartitions("split", "region", "user_id")
        .write.mode("overwrite")
        .partitionBy("split", "region")
        .parquet(uri)
    )
    return {name: int(value or 0) for name, value in seen.get.items()}


def artist_frame(
    spark: SparkSession, artists: pd.DataFrame, fit_on_all: ArtistFeatures
) -> DataFrame:
    """Return the artists with what the endpoint computes features from."""
    table = pa.table(
        {
            "artist_id": pa.array(np.arange(len(artists)), pa.int32()),
            **{
                name: pa.array(artists[name], pa.string())
                for name in ("artist_key", "artist_name", "mbid")
            },
            "listeners": pa.array(artists["listeners"], pa.int32()),
            "salience": pa.array(fit_on_all.salience),
            "matrix": matrix_rows(fit_on_all.matrix),
        }
    )
    return frame_of(
        spark,
        table,
        "artist_id int, artist_key string, artist_name string, mbid string, listeners int, "
        "salience float, matrix array<float>",
    )


def described(selection: Selection) -> dict[str, Any]:
    """Return the kept regions and countries, and the dropped ones, as a manifest has them."""

    def listeners(countries: Sequence[str]) -> dict[str, int]:
        return {name: sum(selection.counts[c][name] for c in countries) for name in SPLITS}

    return {
        "regions": [
            {
                "slug": region.slug,
                "name": region.name,
                "countries": list(region.countries),
                "listeners": listeners(region.countries),
            }
            for region in selection.regions.regions
        ],
        "countries": {
            code: {"name": country_name(code), **listeners([code])} for code in selection.countries
        },
        "dropped_countries": selection.dropped,
    }


if __name__ == "__main__":
    main(sys.argv)
