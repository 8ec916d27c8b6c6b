"""The tables through which Athena reads raw plays, features and evaluations.

Runs and batches are partitions that a query names (`injected` partition projection), so nothing has
to be crawled or added when a run ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from listening.country.splits import SPLITS
from listening.resources import EMBEDDINGS, EVALUATIONS, FEATURES, RAW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARQUET = (
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
)
JSON_LINES = (
    "org.apache.hadoop.mapred.TextInputFormat",
    "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "org.openx.data.jsonserde.JsonSerDe",
)


@dataclass(frozen=True, kw_only=True)
class TableDefinition:
    """A table over a prefix.

    Parameters
    ----------
    description
        One row of it.
    location
        Prefix in the bucket; ``${name}`` stands for a partition's value.
    columns
        Hive type by name.
    form
        Input format, output format and serialisation library.
    """

    description: str
    location: str
    columns: Mapping[str, str]
    form: Sequence[str] = PARQUET


RAW_AND_FEATURES = {
    "raw_users": TableDefinition(
        description="A user as delivered; batches in parquet folders",
        location=f"{RAW}${{batch}}/users/",
        columns={"user_id": "string", "country": "string", "total_scrobbles": "bigint"},
    ),
    "raw_top_artists": TableDefinition(
        description="A user's play of an artist as delivered; batches in parquet folders",
        location=f"{RAW}${{batch}}/top_artists/",
        columns={
            "user_id": "string",
            "rank": "bigint",
            "artist_name": "string",
            "playcount": "bigint",
            "mbid": "string",
        },
    ),
    "cleaned_listeners": TableDefinition(
        description="A listener with cleaned plays",
        location=f"{EMBEDDINGS}${{run}}/listeners/",
        columns={
            "user_id": "string",
            "country": "string",
            "total_scrobbles": "double",
            "artist_keys": "array<string>",
            "playcounts": "array<double>",
        },
    ),
    "features": TableDefinition(
        description="A labelled listener with features",
        location=f"{FEATURES}${{run}}/listeners/split=${{split}}/region=${{region}}/",
        columns={"user_id": "string", "country": "string", "features": "array<float>"},
    ),
}
EVALUATED = {
    "evaluations": TableDefinition(
        description="An assembled bundle with its metrics and the gate's decision",
        location=EVALUATIONS,
        columns={
            "bundle_version": "string",
            "run": "string",
            "decision": "string",
            "reasons": "array<string>",
            "synthetic": "boolean",
            "metrics": "map<string,double>",
        },
        form=JSON_LINES,
    )
}


class Catalog(Construct):
    """Glue database with the tables of the data bucket and of the models bucket.

    Parameters
    ----------
    name
        The database's name; lower case letters, digits and underscores.
    data_bucket, models_bucket
        What the tables lie in.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        data_bucket: s3.IBucket,
        models_bucket: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        self._database = self._build_database(name)
        for table, definition in RAW_AND_FEATURES.items():
            self._build_table(table, definition, data_bucket)
        for table, definition in EVALUATED.items():
            self._build_table(table, definition, models_bucket)

    def _build_database(self, name: str) -> glue.CfnDatabase:
        return glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description="Plays, features and evaluations of listening"
            ),
        )

    def _build_table(self, name: str, definition: TableDefinition, bucket: s3.IBucket) -> None:
        partitions = [
            part
            for part in ("batch", "run", "split", "region")
            if f"${{{part}}}" in definition.location
        ]
        projected = {"projection.enabled": "true"} if partitions else {}
        for part in partitions:
            if part == "split":
                projected["projection.split.type"] = "enum"
                projected["projection.split.values"] = ",".join(SPLITS)
            else:
                projected[f"projection.{part}.type"] = "injected"
        location = bucket.s3_url_for_object(definition.location)
        root = bucket.s3_url_for_object(definition.location.partition("$")[0])
        input_format, output_format, library = definition.form
        glue.CfnTable(
            self,
            name,
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_name=self._database.ref,
            table_input=glue.CfnTable.TableInputProperty(
                name=name,
                description=definition.description,
                table_type="EXTERNAL_TABLE",
                parameters={
                    **projected,
                    **({"storage.location.template": location} if partitions else {}),
                },
                partition_keys=[
                    glue.CfnTable.ColumnProperty(name=part, type="string") for part in partitions
                ],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=root,
                    columns=[
                        glue.CfnTable.ColumnProperty(name=column, type=kind)
                        for column, kind in definition.columns.items()
                    ],
                    input_format=input_format,
                    output_format=output_format,
                    serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library=library),
                ),
            ),
        )
