"""What each kind of archive answers."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.synthetic_bundle import EXTRA_NAMES, FIRST_EXTRA
from inference.country.answers import BundleAnswerer
from inference.country.handler import CountryHandler
from inference.country.outputs import CSV_COLUMNS, WRITERS
from inference.inference import model_fn, transform_fn
from inference.media import negotiate
from listening.country.chain import logits, softmax
from listening.country.listeners import ListenerBatch, RawListener, listener_features
from listening.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.synthetic_bundle import SyntheticBundle
    from inference.country.answers import Answerer


@pytest.fixture(scope="module")
def chain(archives: Path) -> CountryHandler:
    model = model_fn(archives / "bundle")
    assert isinstance(model, CountryHandler)
    assert isinstance(model.answerer, BundleAnswerer)
    return model


def ask(model: Answerer, document: Any, accept: str = "") -> Any:
    body, media_type = transform_fn(model, json.dumps(document), "application/json", accept)
    return json.loads(body) if media_type == "application/json" else body.decode()


def ask_features(model: Answerer, features: Any, parameters: str = "") -> Any:
    stream = io.BytesIO()
    np.save(stream, features)
    return json.loads(
        transform_fn(model, stream.getvalue(), f"application/x-npy{parameters}", "")[0]
    )


def probabilities(entries: list[dict[str, Any]]) -> list[float]:
    return [entry["probability"] for entry in entries]


def test_the_documented_answer(
    chain: CountryHandler, synthetic: SyntheticBundle, documents: list[dict[str, Any]]
) -> None:
    document = documents[0]
    known = len({artist["artist_name"] for artist in document["top_artists"]})
    stranger = {"artist_name": "nobody knows them"}
    answer = ask(chain, document | {"top_artists": [*document["top_artists"], stranger], "k": 3})
    assert list(answer) == [
        *("countries", "regions", "known_artists", "unknown_artists"),
        *("prior", "bundle_version", "synthetic"),
    ]
    assert len(answer["countries"]) == 3
    assert list(answer["countries"][0]) == ["country", "name", "probability"]
    assert list(answer["regions"][0]) == ["region", "name", "probability"]
    assert len(answer["regions"]) == len(synthetic.region_table.regions)
    assert (answer["known_artists"], answer["unknown_artists"]) == (known, 1)
    assert answer["prior"] is False
    assert answer["bundle_version"] == chain.answerer.bundle.version
    for entries in (answer["countries"], answer["regions"]):
        assert probabilities(entries) == sorted(probabilities(entries), reverse=True)


def test_all_probabilities_sum_to_one(
    chain: CountryHandler, synthetic: SyntheticBundle, documents: list[dict[str, Any]]
) -> None:
    for document in documents:
        answer = ask(chain, document | {"k": 999})
        assert {entry["country"] for entry in answer["countries"]} == set(synthetic.codes)
        assert sum(probabilities(answer["countries"])) == pytest.approx(1)
        assert sum(probabilities(answer["regions"])) == pytest.approx(1)


def test_the_k_likeliest_are_the_first_of_all(
    chain: CountryHandler, documents: list[dict[str, Any]]
) -> None:
    for document in documents:
        everything = ask(chain, document | {"k": 999})["countries"]
        for k in (1, 2, 5):
            assert ask(chain, document | {"k": k})["countries"] == everything[:k]


def test_any_spelling_and_mbids_name_the_same_artist(chain: CountryHandler) -> None:
    spellings = ({"artist_name": "Björk"}, {"artist_name": " BJÃ¶RK "}, {"artist_name": "björk"})
    by_mbid = {"mbid": f"{FIRST_EXTRA:08x}-0000-4000-8000-000000000000"}
    answers = [ask(chain, {"top_artists": [artist]}) for artist in (*spellings, by_mbid)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["known_artists"] == 1


@pytest.mark.parametrize("artists", [[], [{"artist_name": "nobody"}], [{"artist_name": "  "}]])
def test_a_listener_without_a_known_artist_gets_the_prior_and_is_told(
    chain: CountryHandler, artists: list[Any]
) -> None:
    answer = ask(chain, {"top_artists": artists, "k": 999, "explain": True})
    assert answer["prior"] is True
    assert answer["known_artists"] == 0
    expected = sorted(chain.answerer.bundle.prior.values(), reverse=True)
    assert probabilities(answer["countries"]) == pytest.approx(expected)
    assert sum(probabilities(answer["regions"])) == pytest.approx(1)
    assert "explanation" not in answer


def test_level_region_leaves_countries_out(
    chain: CountryHandler, documents: list[dict[str, Any]]
) -> None:
    whole = ask(chain, documents[0])
    answer = ask(chain, documents[0] | {"level": "region"})
    assert "countries" not in answer
    assert answer["regions"] == whole["regions"]
    assert "countries" not in ask(chain, {"top_artists": [], "level": "region"})


names = st.sampled_from([*EXTRA_NAMES, *(f"Artist {i}" for i in range(5, 60)), "nobody", " "])
plays = st.lists(
    st.fixed_dictionaries(
        {"artist_name": names}, optional={"playcount": st.none() | st.integers(0, 10**6)}
    ),
    max_size=12,
)
listeners = st.fixed_dictionaries(
    {"top_artists": plays},
    optional={
        "total_scrobbles": st.none() | st.integers(0, 10**7),
        "k": st.integers(1, 9),
        "level": st.sampled_from(["country", "region"]),
        "user_id": st.text(max_size=5),
        "explain": st.booleans(),
    },
)


@given(st.lists(listeners, min_size=2, max_size=12))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_batch_answers_what_its_rows_answer_alone(
    chain: CountryHandler, batch: list[dict[str, Any]]
) -> None:
    together = ask(chain, {"listeners": batch})["answers"]
    assert together == [ask(chain, listener) for listener in batch]


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_a_batch_of_vectors_answers_what_its_rows_answer_alone(
    archives: Path, seed: int, n: int
) -> None:
    model = model_fn(archives / "bundle")
    width = model.answerer.bundle.layout.width  # type: ignore[attr-defined]
    features = np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)
    together = ask_features(model, features)["answers"]
    assert together == [ask_features(model, row) for row in features]


def test_plays_and_their_features_have_one_answer(
    chain: CountryHandler, synthetic: SyntheticBundle, documents: list[dict[str, Any]]
) -> None:
    raw, _ = synthetic.generate(3)
    features = synthetic.features(raw)
    for listener, row in zip(raw, features, strict=True):
        document = {
            "top_artists": [
                {"artist_name": name, "playcount": count}
                for name, count in zip(listener.names, listener.playcounts or [], strict=True)
            ],
            "total_scrobbles": listener.total_scrobbles,
        }
        by_plays, by_features = ask(chain, document), ask_features(chain, row)
        assert by_features["countries"] == by_plays["countries"]
        assert by_features["regions"] == by_plays["regions"]
        assert "known_artists" not in by_features


def test_single_models_answer_what_the_chain_is_made_of(
    chain: CountryHandler, archives: Path, synthetic: SyntheticBundle
) -> None:
    features = synthetic.features(synthetic.generate(4)[0])
    whole = ask_features(chain, features, ";k=99")["answers"]
    regions = ask_features(model_fn(archives / "region"), features)["answers"]
    country = ask_features(model_fn(archives / "country"), features, ";k=99")["answers"]
    flat = ask_features(model_fn(archives / "flat"), features, ";k=2")["answers"]
    first = synthetic.region_table.regions[0]
    for joint, of_regions, of_countries, of_all in zip(whole, regions, country, flat, strict=True):
        assert of_regions["regions"] == joint["regions"]
        assert "countries" not in of_regions
        share = {entry["region"]: entry["probability"] for entry in joint["regions"]}[first.slug]
        within = {e["country"]: e["probability"] * share for e in of_countries["countries"]}
        for entry in joint["countries"]:
            if entry["country"] in within:
                assert entry["probability"] == pytest.approx(within[entry["country"]])
        assert len(of_all["countries"]) == 2
        assert "regions" not in of_all


@pytest.mark.parametrize("kind", ["region", "country", "flat"])
def test_single_models_refuse_plays_and_name_the_bundle(archives: Path, kind: str) -> None:
    with pytest.raises(RequestError, match=r"bundle\.tar\.gz") as caught:
        ask(model_fn(archives / kind), {"top_artists": []})
    assert caught.value.status == 415


@pytest.mark.parametrize("kind", ["bundle", "region"])
def test_a_wrong_width_names_the_expected_one(archives: Path, kind: str) -> None:
    model = model_fn(archives / kind)
    width = model.answerer.bundle.layout.width  # type: ignore[attr-defined]
    with pytest.raises(RequestError, match=f"width {width + 1}, but .* expects {width} features"):
        ask_features(model, np.zeros(width + 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_feature_that_is_no_number_is_named(chain: CountryHandler, value: float) -> None:
    features = np.zeros((2, chain.answerer.bundle.layout.width))
    features[1, 0] = value
    with pytest.raises(RequestError, match=r"feature vector\[0\] of listener 1"):
        ask_features(chain, features)


def test_total_scrobbles_may_be_missing_in_vectors_too(
    chain: CountryHandler, documents: list[dict[str, Any]]
) -> None:
    features = np.zeros(chain.answerer.bundle.layout.width, dtype=np.float32)
    features[-1] = np.nan
    assert len(ask_features(chain, features)["countries"]) == 5


def test_options_that_make_no_sense_are_refused(archives: Path, chain: CountryHandler) -> None:
    features = np.zeros(chain.answerer.bundle.layout.width)
    for model, parameters, field in (
        (chain, ";explain=true", "explain"),
        (model_fn(archives / "region"), ";explain=true", "explain"),
        (model_fn(archives / "flat"), ";level=region", "level"),
    ):
        with pytest.raises(RequestError, match=field):
            ask_features(model, features, parameters)
    with pytest.raises(RequestError, match="holds no model yet"):
        ask_features(model_fn(archives / "prior"), features)


def test_the_prior_answers_everyone(archives: Path) -> None:
    answer = ask(model_fn(archives / "prior"), {"top_artists": [{"artist_name": "Björk"}]})
    assert answer["prior"] is True
    assert answer["bundle_version"] == "prior"
    assert (answer["known_artists"], answer["unknown_artists"]) == (0, 1)
    assert len(answer["countries"]) == 5


@pytest.mark.parametrize("level", ["country", "region"])
def test_an_explanation_adds_up(
    chain: CountryHandler, documents: list[dict[str, Any]], level: str
) -> None:
    for document in documents[:10]:
        answer = ask(chain, document | {"explain": True, "level": level})
        explanation = answer["explanation"]
        names = [artist["artist_name"] for artist in explanation["artists"]]
        assert len(names) == answer["known_artists"]
        assert set(names) == {artist["artist_name"] for artist in document["top_artists"]}
        sizes = [abs(artist["contribution"]) for artist in explanation["artists"]]
        assert sizes == sorted(sizes, reverse=True)
        total = sum(artist["contribution"] for artist in explanation["artists"])
        expected = margin(chain, document, explanation["answer"])
        assert total + explanation["other"] == pytest.approx(expected)


def margin(chain: CountryHandler, document: dict[str, Any], answer: str) -> float:
    """Return the answer's score less the average score, region and country model together."""
    bundle = chain.answerer.bundle
    listener = RawListener(
        [artist["artist_name"] for artist in document["top_artists"]],
        [artist["playcount"] for artist in document["top_artists"]],
        None,
        document["total_scrobbles"],
    )
    batch = ListenerBatch.from_raw([listener], bundle.artists)
    features = listener_features(batch, bundle.artists, bundle.layout)[0]
    region = bundle.regions.region_of.get(answer, answer)
    place = chain.answerer.predictor.chain.regions.index(region)
    pairs = [
        (chain.answerer.predictor.region, region),
        (chain.answerer.predictor.country[place], answer),
    ]
    total = 0.0
    for model, name in pairs[: 1 if answer == region else 2]:
        scores = logits(model.spec, features, model.raw_scores(features))
        total += scores[model.spec.classes.index(name)] - softmax(scores) @ scores
    return total


def test_a_national_artist_drives_the_answer_to_its_country(
    chain: CountryHandler, synthetic: SyntheticBundle
) -> None:
    places = np.flatnonzero(synthetic.homes[30:] == 0)[:3] + 30
    others = np.flatnonzero(synthetic.homes[30:] == 1)[:1] + 30
    artists = [{"artist_name": f"Artist {i}"} for i in (*places, *others)]
    answer = ask(chain, {"top_artists": artists, "explain": True})
    assert answer["countries"][0]["country"] == synthetic.codes[0]
    contribution = {
        artist["artist_name"]: artist["contribution"] for artist in answer["explanation"]["artists"]
    }
    assert min(contribution[f"Artist {i}"] for i in places) > contribution[f"Artist {others[0]}"]


def test_csv_has_a_line_for_each_country(
    chain: CountryHandler, documents: list[dict[str, Any]]
) -> None:
    batch = [documents[0] | {"user_id": "=a,b"}, {"top_artists": [], "level": "region"}]
    rows = list(csv.DictReader(io.StringIO(ask(chain, {"listeners": batch}, "text/csv"))))
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert [row["listener"] for row in rows] == ["0"] * 5 + ["1"] * 3
    assert [row["prior"] for row in rows] == ["false"] * 5 + ["true"] * 3
    assert rows[0]["user_id"] == "=a,b"
    answer = ask(chain, documents[0])["countries"]
    assert [row["code"] for row in rows[:5]] == [entry["country"] for entry in answer]
    assert [float(row["probability"]) for row in rows[:5]] == probabilities(answer)


def test_json_lines_have_a_line_for_each_listener(
    chain: CountryHandler, documents: list[dict[str, Any]]
) -> None:
    lines = ask(chain, {"listeners": documents}, "application/jsonlines").splitlines()
    assert [json.loads(line) for line in lines] == [ask(chain, doc) for doc in documents]


@pytest.mark.parametrize(
    ("accept", "content_type", "expected"),
    [
        ("", "application/json", "application/json"),
        ("*/*", "text/csv", "application/json"),
        ("*/*", "application/jsonlines", "application/jsonlines"),
        ("", "application/jsonlines; charset=utf-8", "application/jsonlines"),
        ("text/html, text/csv;q=0.5, application/json;q=0.9", "", "application/json"),
        ("text/csv, application/json", "", "text/csv"),
        ("text/*", "", "text/csv"),
        ("APPLICATION/JSON", "", "application/json"),
        ("application/json;q=x, text/csv;q=0.1", "", "text/csv"),
        ("text/*;q=0, text/csv", "", "text/csv"),
        ("*/*;q=0, application/json", "", "application/json"),
    ],
)
def test_negotiation(accept: str, content_type: str, expected: str) -> None:
    assert negotiate(accept, content_type, WRITERS) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/json;q=0",
        "application/json;q=0, */*",
        "application/*;q=0, */*",
        ",",
        "x" * 9999,
    ],
)
def test_what_cannot_be_written_is_406(accept: str) -> None:
    with pytest.raises(RequestError) as caught:
        negotiate(accept, "application/json", WRITERS)
    assert caught.value.status == 406
