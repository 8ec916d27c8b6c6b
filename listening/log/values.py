"""What values of the log's columns become: text and the types that writers choose, as Arrow.

`glue_jobs.raw` does the same in Spark's expressions, by the patterns and limits here; a test over
generated files holds the two against each other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from listening.log.plain import BLANKS, DIGIT_FIRST, EPOCH, EPOCH_UNITS, NUMBER, TIME

if TYPE_CHECKING:
    from listening.log.tables import Kind

LARGEST_INTEGER = float(2**63)
TIMES = pa.timestamp("us", tz="UTC")

ARROW_TYPES: dict[Kind, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "integer": pa.float64(),
    "number": pa.float64(),
    "time": TIMES,
}
"""What a column becomes, by its kind."""


def read(values: Any, kind: Kind) -> Any:
    """Return values as what their kind says, null where they are none of it.

    Parameters
    ----------
    values
        An Arrow array of text, numbers, decimals, timestamps, dates or nothing.
    kind
        Of the column.

    Returns
    -------
    pyarrow.Array
        Of `ARROW_TYPES`, as long as `values`.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), ARROW_TYPES[kind])
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if kind == "text":
        return values.cast(pa.string())
    if text:
        values = pc.replace_substring_regex(values.cast(pa.string()), BLANKS, "")
    if kind == "id":
        return _ids(values, text=text)
    if kind == "time":
        return _times_of_text(values) if text else _times(values)
    return _numbers_of_text(values) if text else _finite(values.cast(pa.float64(), safe=False))


def _ids(values: Any, *, text: bool) -> Any:
    if text:
        return pc.if_else(pc.equal(values, ""), None, values)
    if pa.types.is_integer(values.type) or _is_whole_decimal(values.type):
        return values.cast(pa.string())
    numbers = values.cast(pa.float64(), safe=False)
    whole = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), LARGEST_INTEGER))
    return pc.if_else(whole, numbers, None).cast(pa.int64(), safe=False).cast(pa.string())


def _is_whole_decimal(kind: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(kind)) and kind.scale == 0


def _numbers_of_text(text: Any) -> Any:
    valid = pc.and_(
        pc.match_substring_regex(text, NUMBER), pc.match_substring_regex(text, DIGIT_FIRST)
    )
    plain = pc.replace_substring(pc.utf8_ltrim(text, characters="+"), ",", "")
    return _finite(pc.if_else(valid, plain, None).cast(pa.float64()))


def _finite(numbers: Any) -> Any:
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _times_of_text(text: Any) -> Any:
    counts = pc.if_else(pc.match_substring_regex(text, EPOCH), text, None)
    parts = pc.extract_regex(text, TIME)

    def part(name: str, absent: str) -> Any:
        found = pc.struct_field(parts, name)
        return pc.if_else(pc.equal(found, ""), absent, found)

    written = pc.binary_join_element_wise(
        part("date", ""), " ", part("minute", "00:00"), ":", part("second", "00"), ".",
        part("fraction", "0"), "",
    )  # fmt: skip
    read_as = pd.to_datetime(
        pd.Series(written.to_pandas()), format="%Y-%m-%d %H:%M:%S.%f", errors="coerce"
    )
    micros = read_as.to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
    micros[read_as.isna().to_numpy()] = np.nan
    micros -= _offsets(pc.struct_field(parts, "zone")) * 60e6
    counted = _epoch(counts.cast(pa.float64()).to_numpy(zero_copy_only=False))
    return _instants(np.where(np.isnan(micros), counted, micros))


def _offsets(zones: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return offsets from UTC in minutes; 0 where none is given."""
    found = pc.fill_null(zones, "").dictionary_encode()
    minutes = np.zeros(max(len(found.dictionary), 1))
    for place, zone in enumerate(found.dictionary.to_pylist()):
        if match := re.fullmatch(r"([+-])(\d\d):?(\d\d)", zone):
            size = int(match[2]) * 60 + int(match[3])
            minutes[place] = -size if match[1] == "-" else size
    return np.asarray(minutes[found.indices.to_numpy(zero_copy_only=False)])


def _times(values: Any) -> Any:
    if pa.types.is_date(values.type):
        return values.cast(pa.timestamp("us")).cast(TIMES)
    if pa.types.is_timestamp(values.type):
        if values.type.tz is None:
            values = values.cast(pa.timestamp(values.type.unit, tz="UTC"))
        return values.cast(TIMES, safe=False)
    if pa.types.is_integer(values.type) or pa.types.is_decimal(values.type):
        values = values.cast(pa.float64(), safe=False)
    return _instants(_epoch(values.cast(pa.float64()).to_numpy(zero_copy_only=False)))


def _epoch(counts: Any) -> Any:
    """Return microseconds since 1970 of counts since then, each of the unit that its size tells."""
    counts = np.asarray(counts, dtype=np.float64)
    scale = np.full(counts.shape, np.nan)
    for limit, unit in reversed(EPOCH_UNITS):
        scale[np.abs(counts) < limit] = unit
    return counts * scale


def _instants(micros: Any) -> Any:
    absent = ~(np.abs(micros) < LARGEST_INTEGER)
    whole = np.floor(np.where(absent, 0, micros)).astype(np.int64)
    return pa.array(whole, mask=absent).cast(TIMES)
