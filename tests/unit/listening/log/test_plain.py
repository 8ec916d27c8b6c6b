"""One time, as the endpoint reads it, is what a column of it is to the check and the jobs."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from listening.log.plain import parse_time
from listening.log.values import read

DATE = st.from_regex(r"(19|20|21)[0-9]{2}-[0-1][0-9]-[0-3][0-9]", fullmatch=True)
TIME_OF_DAY = st.from_regex(
    r"([T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,9})?)?)?", fullmatch=True
)
ZONE = st.from_regex(r" ?(Z|UTC|[+-][0-2][0-9]:?[0-5][0-9])?", fullmatch=True)
COUNT = st.integers(0, 10**19).map(str)
TEXT = st.one_of(
    st.tuples(DATE, TIME_OF_DAY, ZONE).map("".join),
    COUNT,
    st.text("0123456789-:T Z+.,", max_size=24),
)
BLANKS = st.sampled_from(["", " ", "\t", "\n "])


@given(TEXT, BLANKS, BLANKS)
def test_text_says_the_same_time_alone_and_in_a_column(text: str, left: str, right: str) -> None:
    value = f"{left}{text}{right}"
    (column,) = read(pa.array([value]), "time").cast(pa.int64()).to_pylist()
    alone = parse_time(value)
    assert (alone is None) == (column is None), value
    if alone is not None:
        assert abs(alone - column / 1e6) <= 1e-3, value


@given(st.one_of(st.integers(0, 10**18), st.floats(0, 1e18)))
def test_numbers_too(number: float) -> None:
    (column,) = read(pa.array([float(number)]), "time").cast(pa.int64()).to_pylist()
    alone = parse_time(float(number))
    assert (alone is None) == (column is None)
    if alone is not None:
        assert abs(alone - column / 1e6) <= 1e-3 + abs(alone) * 1e-9
