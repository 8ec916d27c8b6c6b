"""What may be sent, and that nothing else does more harm than a 400."""

from __future__ import annotations

import io
import json
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import bodies
from inference.country import inputs
from inference.country.inputs import FeatureQuestions, Options, Questions, parse
from listening.errors import RequestError

ONE = {"top_artists": [{"artist_name": "Björk", "playcount": 3}, {"mbid": "x"}], "k": 2}


def parse_json(document: Any) -> Questions:
    questions = parse(json.dumps(document).encode(), "application/json")
    assert isinstance(questions, Questions)
    return questions


def refusal(body: bytes, content_type: str = "application/json") -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse(body, content_type)
    return caught.value


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def test_one_listener_as_json() -> None:
    questions = parse_json({**ONE, "total_scrobbles": 10, "level": "region", "user_id": 7})
    (question,) = questions.items
    assert questions.single
    assert question.listener.names == ["Björk", None]
    assert question.listener.playcounts == [3.0, None]
    assert question.listener.mbids == [None, "x"]
    assert question.listener.total_scrobbles == 10
    assert question.options == Options(k=2, level="region")
    assert question.user_id == "7"


def test_without_play_counts_there_are_none() -> None:
    (question,) = parse_json({"top_artists": [{"artist_name": "a"}]}).items
    assert question.listener.playcounts is None
    assert question.listener.mbids is None
    assert question.options == Options()


def test_many_listeners_share_options_and_may_differ() -> None:
    questions = parse_json({"listeners": [ONE, {"top_artists": []}], "k": 3, "explain": True})
    assert not questions.single
    assert [q.options for q in questions.items] == [Options(2, True), Options(3, True)]


def test_json_lines() -> None:
    body = b'{"top_artists": []}\n\n{"top_artists": [], "k": 1}\r\n'
    questions = parse(body, "application/jsonlines; charset=UTF-8")
    assert isinstance(questions, Questions)
    assert [q.options.k for q in questions.items] == [5, 1]
    assert not questions.single


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_of_plays_are_grouped_by_listener(kind: str) -> None:
    if kind == "csv":
        body = (
            "\ufeffuser_id,artist_name,playcount,total_scrobbles\n"
            'b,"Crosby, Stills",5,90\na,Björk,,\nb,Can,2,90\n'
        ).encode()
        questions = parse(body, "text/csv; k=3; level=region; explain=true")
    else:
        body = parquet(
            user_id=["b", "a", "b"],
            artist_name=["Crosby, Stills", "Björk", "Can"],
            playcount=[5, None, 2],
            total_scrobbles=[90.0, None, 90.0],
        )
        questions = parse(body, "application/x-parquet; k=3; level=region; explain=true")
    assert isinstance(questions, Questions)
    first, second = questions.items
    assert (first.user_id, second.user_id) == ("b", "a")
    assert first.listener.names == ["Crosby, Stills", "Can"]
    assert first.listener.playcounts == [5, 2]
    assert first.listener.total_scrobbles == 90
    assert second.listener.playcounts is None
    assert first.options == second.options == Options(3, True, "region")


def test_a_table_without_user_ids_is_one_listener() -> None:
    questions = parse(b"artist_name\na\nb\n", "text/csv")
    assert isinstance(questions, Questions)
    assert [q.listener.names for q in questions.items] == [["a", "b"]]


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f8", "<i4", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_feature_vectors(dtype: str, order: Any) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    questions = parse(npy(array), "application/x-npy; k=1")
    assert isinstance(questions, FeatureQuestions)
    assert questions.features.dtype == np.float32
    assert np.array_equal(questions.features, np.arange(6).reshape(2, 3))
    assert questions.options.k == 1
    assert not questions.single


def test_one_feature_vector() -> None:
    questions = parse(npy(np.zeros(4)), "application/x-npy")
    assert isinstance(questions, FeatureQuestions)
    assert questions.features.shape == (1, 4)
    assert questions.single


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "must be an object"),
        ({}, "top_artists: must be a list, got nothing"),
        ({"top_artists": {}}, "top_artists: must be a list"),
        ({"top_artists": ["a"]}, "top_artists[0]: must be an object"),
        ({"top_artists": [{}]}, "top_artists[0]: needs artist_name or mbid"),
        ({"top_artists": [{"artist_name": 5}]}, "top_artists[0].artist_name"),
        ({"top_artists": [{"artist_name": "a" * 1001}]}, "got 1001 characters"),
        ({"top_artists": [{"mbid": []}]}, "top_artists[0].mbid"),
        ({"top_artists": [{"mbid": "", "playcount": -1}]}, "top_artists[0].playcount"),
        ({"top_artists": [{"mbid": "", "playcount": "1"}]}, "top_artists[0].playcount"),
        ({"top_artists": [{"mbid": "", "playcount": True}]}, "top_artists[0].playcount"),
        ({"top_artists": [{"mbid": "", "playcount": 10**40}]}, "top_artists[0].playcount"),
        ({"top_artists": [], "total_scrobbles": -1}, "total_scrobbles"),
        ({"top_artists": [], "k": 0}, "k: must be"),
        ({"top_artists": [], "k": 1.0}, "k: must be"),
        ({"top_artists": [], "k": True}, "k: must be"),
        ({"top_artists": [], "explain": 1}, "explain: must be"),
        ({"top_artists": [], "level": "city"}, "level: must be"),
        ({"top_artists": [], "level": []}, "level: must be"),
        ({"top_artists": [], "user_id": []}, "user_id"),
        ({"listeners": {}}, "listeners: must be a list"),
        ({"listeners": [5]}, "listeners[0]: must be an object"),
        ({"listeners": [ONE, {}]}, "listeners[1].top_artists"),
        ({"listeners": [], "k": None}, "k: must be"),
    ],
)
def test_a_wrong_field_is_named(document: Any, field: str) -> None:
    error = refusal(json.dumps(document).encode())
    assert error.status == 400
    assert field in str(error)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"", "application/json", "not JSON"),
        (b"[" * 100_000, "application/json", "not JSON"),
        (b'{"top_artists": [], "k": NaN}', "application/json", "not JSON"),
        (b'{"top_artists": [], "total_scrobbles": 1e999}', "application/json", "not JSON"),
        (b'{"top_artists": []}\n{', "application/jsonlines", "line 2: not JSON"),
        (b'{"top_artists": []}\n{}', "application/jsonlines", "line 2: top_artists"),
        (b"", "text/csv", "columns: artist_name or mbid is missing"),
        (b"name,n\na,1", "text/csv", "artist_name or mbid is missing, got 'name', 'n'"),
        (b'artist_name\na\nb\n"Al" B\n', "text/csv", "line 4: text after a closing quote"),
        (b'artist_name,playcount\n"a\nb",1\nc,x\n', "text/csv", "line 4: playcount: must be"),
        (b"artist_name,playcount\na,1_034", "text/csv", "line 2: playcount: must be a number"),
        (b"mbid,mbid\na,b", "text/csv", "columns: 'mbid' is there twice"),
        (b"artist_name\ra", "text/csv", "line 1: a carriage return within the line"),
        (
            b'{"listeners": []}',
            "application/jsonlines",
            "line 1: top_artists: must be a list, got nothing; a line is one listener",
        ),
        (b"artist_name\n\xff", "text/csv", "line 2: not UTF-8 text"),
        (b"artist_name,playcount\na", "text/csv", "line 2: 1 fields, expected 2"),
        (b"artist_name\na,b", "text/csv", "line 2: 2 fields, expected 1"),
        (b"artist_name,playcount\na,many", "text/csv", "line 2: playcount"),
        (b"artist_name,playcount\na,nan", "text/csv", "line 2: playcount"),
        (b"artist_name,playcount\na,-1", "text/csv", "line 2: playcount"),
        (b'artist_name\n"a', "text/csv", "line 2: a quote that is never closed"),
        (b"artist_name\n" + b"a" * 200_000, "text/csv", "line 2: artist_name: must be text"),
        (b"artist_name,mbid\n,", "text/csv", "line 2: needs artist_name or mbid"),
        (b"artist_name\na", "text/csv; k=x", "Content-Type: k: must be"),
        (b"artist_name\na", "text/csv; level=city", "Content-Type: level: must be"),
        (b"", "application/x-parquet", "not a readable parquet file"),
        (b"PAR1" * 9, "application/x-parquet", "not a readable parquet file"),
        (parquet(a=[1]), "application/x-parquet", "columns: artist_name or mbid is missing"),
        (parquet(artist_name=[1]), "application/x-parquet", "row 0: artist_name"),
        (parquet(mbid=["a"], playcount=[-1]), "application/x-parquet", "row 0: playcount"),
        (parquet(mbid=["a"], playcount=[np.inf]), "application/x-parquet", "row 0: playcount"),
        (b"", "application/x-npy", "not an .npy array"),
        (npy(np.zeros(3))[:-1], "application/x-npy", "does not hold"),
        (npy(np.zeros(3)) + b"\0", "application/x-npy", "does not hold"),
        (npy(np.zeros((1, 1, 1))), "application/x-npy", "shape must be"),
        (npy(np.array(["a"])), "application/x-npy", "must be numbers"),
        (npy(np.zeros(3, dtype=complex)), "application/x-npy", "must be numbers"),
        (npy(np.array([{}], dtype=object)), "application/x-npy", "must be numbers"),
        (pickle.dumps(np.zeros(3)), "application/x-npy", "not an .npy array"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "application/x-npy", "not an .npy array"),
    ],
)
def test_a_malformed_body_is_400(body: bytes, content_type: str, reason: str) -> None:
    error = refusal(body, content_type)
    assert error.status == 400
    assert reason in str(error)
    assert len(str(error)) < 500


def test_a_header_that_promises_more_than_there_is_takes_no_memory() -> None:
    body = npy(np.zeros((1, 1))).replace(b"(1, 1)", b"(9**9,)")[:128]
    assert refusal(body, "application/x-npy").status == 400
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000, 129), }"
    body = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    assert "does not hold" in str(refusal(body, "application/x-npy"))


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/octet-stream", "application/json; charset=latin-1", "/", ";;"],
)
def test_other_media_types_are_415(content_type: str) -> None:
    error = refusal(b"{}", content_type)
    assert error.status == 415


def test_no_content_type_is_json() -> None:
    assert isinstance(parse(b'{"top_artists": []}', ""), Questions)


def test_too_much_is_413(monkeypatch: pytest.MonkeyPatch) -> None:
    artists = [{"artist_name": "a"}] * (inputs.MAX_ARTISTS + 1)
    error = refusal(json.dumps({"top_artists": artists}).encode())
    assert (error.status, "1001 artists" in str(error)) == (413, True)
    csv = b"artist_name\n" + b"a\n" * (inputs.MAX_ARTISTS + 1)
    assert refusal(csv, "text/csv").status == 413
    monkeypatch.setattr(bodies, "MAX_LISTENERS", 2)
    assert refusal(b'{"listeners": [0, 0, 0]}').status == 413
    assert refusal(b"{}\n{}\n{}\n{}", "application/jsonlines").status == 413
    assert refusal(b"user_id,mbid\na,x\nb,x\nc,x", "text/csv").status == 413
    assert refusal(npy(np.zeros((3, 1))), "application/x-npy").status == 413
    monkeypatch.setattr(bodies, "MAX_ROWS", 2)
    assert refusal(parquet(mbid=["x"] * 3), "application/x-parquet").status == 413
    monkeypatch.setattr(bodies, "MAX_ROWS", 1000)
    monkeypatch.setattr(bodies, "MAX_PARQUET", 1000)
    bomb = parquet(mbid=["x" * 2000] * 90)
    assert refusal(bomb, "application/x-parquet").status == 413


def test_a_table_that_repeats_a_long_text_takes_no_memory() -> None:
    text = pa.array(["x" * 10**6]).dictionary_encode()
    names = pa.DictionaryArray.from_arrays(np.zeros(50_000, dtype=np.int32), text.dictionary)
    body = parquet(artist_name=names)
    assert len(body) < 200_000  # of which Arrow would make 50 GB
    assert "got 1000000 characters" in str(refusal(body, "application/x-parquet"))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
artists = st.dictionaries(
    st.sampled_from(["artist_name", "mbid", "playcount", "rank"]), json_values, max_size=4
)
hostile_documents = st.dictionaries(
    st.sampled_from(["top_artists", "total_scrobbles", "k", "explain", "level", "user_id"]),
    st.lists(artists | json_values, max_size=5) | json_values,
) | st.fixed_dictionaries({"listeners": json_values})
media_types = st.sampled_from(list(inputs._READERS))


@given(hostile_documents)
@settings(max_examples=400, deadline=None)
def test_any_json_is_read_or_refused(document: Any) -> None:
    try:
        parse(json.dumps(document).encode(), "application/json")
    except RequestError as error:
        assert error.status in {400, 413}


@given(st.binary(max_size=400), media_types, st.text(max_size=30))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes, media_type: str, parameter: str) -> None:
    try:
        parse(body, f"{media_type};{parameter}")
    except RequestError as error:
        assert error.status in {400, 413, 415}


GOOD = {
    "application/x-npy": npy(np.arange(12.0).reshape(3, 4)),
    "application/x-parquet": parquet(
        user_id=["a", "b"], artist_name=["x", "y"], mbid=["", None], playcount=[1.5, None]
    ),
    "text/csv": b"user_id,artist_name,playcount\na,x,1\nb,y,2\n",
    "application/json": json.dumps({"listeners": [ONE]}).encode(),
}


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_damaged_body_is_read_or_refused(data: st.DataObject) -> None:
    media_type = data.draw(st.sampled_from(list(GOOD)))
    body = bytearray(GOOD[media_type])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    del body[len(body) - data.draw(st.integers(0, 8)) :]
    try:
        parse(bytes(body), media_type)
    except RequestError as error:
        assert error.status in {400, 413}


def test_a_table_is_read_as_the_jobs_read_it() -> None:
    body = b'rank, user_id ,artist_name,playcount\n2,u1,Air,"1,034"\n1, u1 ,"Say ""hi""", 7 \n'
    questions = parse(body, "text/csv")
    assert isinstance(questions, Questions)
    (question,) = questions.items
    assert question.user_id == "u1"
    assert question.listener.names == ['Say "hi"', "Air"]
    assert question.listener.playcounts == [7, 1034]
