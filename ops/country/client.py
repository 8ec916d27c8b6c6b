"""A client of the endpoint: listeners in, countries out.

>>> from ops.country.client import Artist, CountryClient, Listener
>>> from ops.connection import connect_aws
>>> client = CountryClient(connect_aws("me", environment="prod"))  # doctest: +SKIP
>>> listener = Listener([Artist("Björk", 1034), Artist("Sigur Rós", 411)])
>>> client.ask([listener])[0].countries[0].name  # doctest: +SKIP
'Iceland'
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from listening.resources import target_model
from listening.systems import COUNTRY
from ops import endpoint, registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.connection import Connection

MOST_BYTES = 5 * 1024**2  # of a request; SageMaker takes 25 MB, less keeps answers in time
MOST_LISTENERS = 500


@dataclass(frozen=True)
class Artist:
    """An artist of a listener, with the number of plays where it is known."""

    name: str
    playcount: float | None = None
    mbid: str | None = None


@dataclass(frozen=True)
class Listener:
    """A listener: artists by falling rank, and how much they listened in all where known."""

    top_artists: Sequence[Artist]
    total_scrobbles: float | None = None
    user_id: str | None = None


@dataclass(frozen=True)
class Likely:
    """A country (by ISO code) or a region (by slug) and its probability."""

    code: str
    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """Where a listener is from.

    Parameters
    ----------
    countries
        The likeliest, by falling probability.
    regions
        All of them, by falling probability.
    known_artists
        How many of the listener's artists the bundle knows.
    unknown_artists
        How many it does not know.
    is_prior
        Whether nothing is known of the listener, so that the answer is how frequent each country
        is.
    bundle_version
        Who answered.
    synthetic
        Whether that bundle was trained on invented listeners.
    explanation
        The artists that drove the answer, where asked for; as the endpoint gives it.
    """

    countries: tuple[Likely, ...]
    regions: tuple[Likely, ...]
    known_artists: int
    unknown_artists: int
    is_prior: bool
    bundle_version: str
    synthetic: bool = False
    explanation: Any = field(default=None, compare=False)


class CountryClient:
    """Asks an environment's endpoint where listeners are from.

    Parameters
    ----------
    connection
        The environment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(
        self,
        listeners: Sequence[Listener],
        *,
        k: int = 5,
        explain: bool = False,
        version: str | None = None,
    ) -> list[Answer]:
        """Return an answer for each listener.

        Parameters
        ----------
        listeners
            Any number; they are sent in requests of at most `MOST_LISTENERS`.
        k
            How many countries each.
        explain
            Whether to tell which artists drove the answers.
        version
            Whom to ask; None for the champion.

        Raises
        ------
        RequestError
            The endpoint refused the request; names the field.
        ResourceError
            The endpoint or the bundle is missing or failing.
        """
        version = version or registry.champion(self._connection, COUNTRY.name)
        target = target_model(COUNTRY.name, version)
        answers: list[Answer] = []
        for part in _requests(listeners):
            question = {"listeners": part, "k": k, "explain": explain}
            answers += map(_answer, endpoint.ask(self._connection, question, target=target))
        return answers


def _requests(listeners: Sequence[Listener]) -> Iterator[list[dict[str, Any]]]:
    """Divide listeners into requests that keep SageMaker's limits."""
    part: list[dict[str, Any]] = []
    size = 0
    for listener in listeners:
        document = _document(listener)
        more = len(json.dumps(document))
        if part and (len(part) == MOST_LISTENERS or size + more > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(document)
        size += more
    if part:
        yield part


def _document(listener: Listener) -> dict[str, Any]:
    """Return a listener as the endpoint takes them."""
    artists = []
    for artist in listener.top_artists:
        values = {
            "artist_name": artist.name,
            "playcount": artist.playcount,
            "mbid": artist.mbid,
        }
        artists.append({key: value for key, value in values.items() if value is not None})
    document: dict[str, Any] = {"top_artists": artists}
    for name, value in (
        ("total_scrobbles", listener.total_scrobbles),
        ("user_id", listener.user_id),
    ):
        if value is not None:
            document[name] = value
    return document


def _answer(entry: Any) -> Answer:
    try:
        return Answer(
            countries=_likely(entry["countries"], "country"),
            regions=_likely(entry["regions"], "region"),
            known_artists=int(entry["known_artists"]),
            unknown_artists=int(entry["unknown_artists"]),
            is_prior=bool(entry["prior"]),
            bundle_version=str(entry["bundle_version"]),
            synthetic=bool(entry.get("synthetic", False)),
            explanation=entry.get("explanation"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise endpoint.unreadable(entry, error) from error


def _likely(entries: Any, code: str) -> tuple[Likely, ...]:
    return tuple(
        Likely(str(entry[code]), str(entry["name"]), float(entry["probability"]))
        for entry in entries
    )
