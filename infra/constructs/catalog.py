"""The tables through which Athena reads raw plays, what the jobs leave, and evaluations.

Runs and batches are partitions that a query names (`injected` partition projection), so nothing has
to be crawled or added when a run ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from listening.log.tables import HIVE_TYPES, TABLES
from listening.resources import EVALUATIONS, RAW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listening.systems import System

PARTITION = re.compile(r"\$\{(\w+)\}")
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
class _Definition:
    """A table over a prefix.

    Parameters
    ----------
    row
        What one row of it is.
    location
        Prefix in the bucket; ``${name}`` stands for a partition's value.
    columns
        Hive type by name.
    form
        Input format, output format and serialisation library.
    partitions
        The values of a partition, where they are known.
    """

    row: str
    location: str
    columns: Mapping[str, str]
    form: Sequence[str] = PARQUET
    partitions: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Catalog(Construct):
    """Glue database with the tables of the data bucket and of the models bucket.

    Parameters
    ----------
    name
        The database's name; lower case letters, digits and underscores.
    systems
        Whose tables.
    data_bucket, models_bucket
        What the tables lie in.
    """

    def __init__(  # noqa: PLR0913 - a construct
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        systems: Sequence[System],
        data_bucket: s3.IBucket,
        models_bucket: s3.IBucket,
    ) -> None:
        super().__init__(scope, construct_id)
        self._database = self._build_database(name)
        self._build_log(systems, data_bucket)
        for system in systems:
            for left in system.catalog:
                definition = _Definition(
                    row=left.row,
                    location=f"{system.output(left.job)}${{run}}/{left.path}",
                    columns=left.columns,
                    partitions=left.partitions,
                )
                self._build_table(f"{system.name}_{left.name}", definition, data_bucket)
        evaluations = _evaluations([system.name for system in systems])
        self._build_table("evaluations", evaluations, models_bucket)

    def _build_database(self, name: str) -> glue.CfnDatabase:
        return glue.CfnDatabase(
            self,
            "Database",
            catalog_id=cdk.Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description="The listening log, features and evaluations"
            ),
        )

    def _build_log(self, systems: Sequence[System], bucket: s3.IBucket) -> None:
        used = {table for system in systems for table in (*system.needs, *system.uses)}
        for name, table in TABLES.items():
            if name in used:
                raw = _Definition(
                    row=f"{table.row.capitalize()}, as delivered; batches in parquet folders",
                    location=f"{RAW}${{batch}}/{name}/",
                    columns={column.name: HIVE_TYPES[column.kind] for column in table.columns},
                )
                self._build_table(f"raw_{name}", raw, bucket)

    def _build_table(self, name: str, definition: _Definition, bucket: s3.IBucket) -> None:
        partitions = PARTITION.findall(definition.location)
        projected = {"projection.enabled": "true"} if partitions else {}
        for part in partitions:
            if part in definition.partitions:
                projected[f"projection.{part}.type"] = "enum"
                projected[f"projection.{part}.values"] = ",".join(definition.partitions[part])
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
                description=definition.row,
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


def _evaluations(systems: Sequence[str]) -> _Definition:
    return _Definition(
        row="An assembled bundle with its metrics and the gate's decision",
        location=f"{EVALUATIONS}${{system}}/",
        columns={
            "bundle_version": "string",
            "run": "string",
            "decision": "string",
            "reasons": "array<string>",
            "synthetic": "boolean",
            "metrics": "map<string,double>",
        },
        form=JSON_LINES,
        partitions={"system": systems},
    )
