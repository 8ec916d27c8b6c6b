"""A source written from texts, converted, and its tables read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from ops.convert import convert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ops.convert import Conversion, Count


class Converted(NamedTuple):
    """What a conversion said, and what it wrote."""

    result: Conversion
    rows: dict[str, list[dict[str, Any]]]

    def count(self, table: str) -> Count:
        return self.result.tables[table]


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., Converted]:
    """Return a function that converts files, given by name."""

    def run(files: Mapping[str, str | bytes | object], **options: Any) -> Converted:
        source, out = tmp_path / "source", tmp_path / "out"
        for name, content in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        result = convert(source, out, **options)
        for count in [c for file in result.files for c in file.tables.values()]:
            assert count.rows_in == count.rows_out + sum(count.dropped.values())
        rows = {
            folder.name: pq.read_table(folder).to_pylist()
            for folder in out.iterdir()
            if folder.is_dir()
        }
        assert {name: len(found) for name, found in rows.items()} == {
            name: count.rows_out for name, count in result.tables.items() if count.rows_out
        }
        return Converted(result, rows)

    return run
