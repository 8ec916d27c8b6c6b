"""A client of the endpoint: listeners in, countries out.

>>> from ops.country.client import Artist, CountryClient, Listener
>>> from ops.connection import connect_aws
>>> client = CountryClient(connect_aws("me", environment="prod"))  # doctest: +SKIP
>>> listener = Listener([Artist("Björk", 1034), Artist("Sigur Rós", 411)])
>>> client.ask([listener])[0].countries[0].name  # doctest: +SKIP
'Iceland'
"""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from listening.errors import DataError, RequestError, ResourceError
from listening.resources import target_model
from ops.connection import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.connection import Connection

MOST_BYTES = 5 * 1024**2  # of a request; SageMaker takes 25 MB, less keeps answers in time
MOST_LISTENERS = 500
RETRY_SECONDS = 60
"""How long an endpoint that is still loading or scaling is asked again."""


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
    """Asks an environment's endpoint.

    Parameters
    ----------
    connection
        The environment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def champion(self) -> str:
        """Return the champion's bundle version.

        Raises
        ------
        ResourceError
            The environment is not deployed.
        """
        name = self._connection.names.champion_parameter
        with explained(f"reading the champion ({name})"):
            value = self._connection.ssm.get_parameter(Name=name)["Parameter"].get("Value")
        if not value:
            raise ResourceError(f"the parameter {name} is empty; deploy the serving stack again")
        return value

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
        target = target_model(version or self.champion())
        answers: list[Answer] = []
        for part in _requests(listeners):
            body = json.dumps({"listeners": part, "k": k, "explain": explain}).encode()
            answers += _answers(self.invoke(body, target=target))
        if len(answers) != len(listeners):
            raise ResourceError(
                f"the endpoint answered {len(answers)} of {len(listeners)} listeners"
            )
        return answers

    def invoke(self, body: bytes, *, target: str, content_type: str = "application/json") -> bytes:
        """Send a request to a target model and return the answer's body.

        A request is sent again while the endpoint is throttling, loading or scaling.

        Raises
        ------
        RequestError, ResourceError
            As `ask`.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        pause = 0.2  # seconds
        while True:
            try:
                response = self._connection.sagemaker_runtime.invoke_endpoint(
                    EndpointName=self._connection.names.endpoint,
                    TargetModel=target,
                    ContentType=content_type,
                    Accept="application/json",
                    Body=body,
                )
                return bytes(response["Body"].read())
            except botocore.exceptions.ClientError as error:
                if not _is_passing(error) or time.monotonic() + pause > deadline:
                    raise self._explained(error, target) from error
            except botocore.exceptions.BotoCoreError:
                with explained(f"asking endpoint {self._connection.names.endpoint}"):
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def _explained(
        self, error: botocore.exceptions.ClientError, target: str
    ) -> RequestError | ResourceError:
        endpoint = self._connection.names.endpoint
        code = error.response["Error"]["Code"]
        message = error.response["Error"]["Message"]
        if code == "ModelError":
            status = _original_status(error)
            reason = _reason(str(error.response.get("OriginalMessage") or message))
            if 400 <= status < 500:
                return RequestError(reason, status=status)
            return ResourceError(
                f"endpoint {endpoint} failed on {target} with {status}: {reason}; "
                "`listening logs endpoint` shows why"
            )
        return ResourceError(
            f"endpoint {endpoint} cannot answer for {target}: {code}: {message}; "
            "`listening models list` shows which bundles are published"
            if "model data" in message
            else f"endpoint {endpoint} cannot answer for {target}: {code}: {message}; "
            "`listening status` shows what is deployed"
        )


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


def read_listener(text: str, *, source: str) -> Listener:
    """Read one listener from JSON as the endpoint takes it, or from a CSV of artists.

    Parameters
    ----------
    text
        ``{"top_artists": [{"artist_name": …, "playcount": …}], "total_scrobbles": …}``, the same
        list alone, or the CSV of a Last.fm export: columns ``artist_name`` or ``artist``, and
        ``playcount``, ``plays`` or ``scrobbles`` where known. Where an artist has several rows,
        such as one per play, they are added up.
    source
        What it is called in an error.

    Raises
    ------
    DataError
        It is neither.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _listener_of_json(text, source)
    return _listener_of_csv(text, source)


def _listener_of_json(text: str, source: str) -> Listener:
    try:
        document = json.loads(text)
        if isinstance(document, list):
            document = {"top_artists": document}
        return Listener(
            [
                Artist(entry.get("artist_name", ""), entry.get("playcount"), entry.get("mbid"))
                for entry in document["top_artists"]
            ],
            document.get("total_scrobbles"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{source}: expected {{"top_artists": [{{"artist_name": "Björk", "playcount": 12}}]}} '
            f"({error!r})"
        ) from error


def _listener_of_csv(text: str, source: str) -> Listener:
    rows = csv.DictReader(io.StringIO(text))
    columns = [column.strip().casefold() for column in rows.fieldnames or ()]
    rows.fieldnames = columns
    name = next((c for c in ("artist_name", "artist") if c in columns), None)
    if name is None:
        raise DataError(
            f"{source}: no column 'artist_name' or 'artist'; the file has {', '.join(columns)}"
        )
    count = next((c for c in ("playcount", "plays", "scrobbles") if c in columns), None)
    plays: dict[str, float] = {}
    for number, row in enumerate(rows, start=2):
        artist = (row[name] or "").strip()
        if not artist:
            continue
        try:
            value = float(row[count]) if count and row[count] else 1.0
        except ValueError as error:
            raise DataError(f"{source}, line {number}: {row[count]!r} is no number") from error
        plays[artist] = plays.get(artist, 0.0) + value
    if not plays:
        raise DataError(f"{source}: no artists in it")
    known = count is not None or len(set(plays.values())) > 1
    return Listener(
        [
            Artist(artist, value if known else None)
            for artist, value in sorted(plays.items(), key=lambda item: -item[1])
        ]
    )


def _answers(body: bytes) -> list[Answer]:
    try:
        document = json.loads(body)
        return [
            Answer(
                countries=_likely(entry["countries"], "country"),
                regions=_likely(entry["regions"], "region"),
                known_artists=int(entry["known_artists"]),
                unknown_artists=int(entry["unknown_artists"]),
                is_prior=bool(entry["prior"]),
                bundle_version=str(entry["bundle_version"]),
                synthetic=bool(entry.get("synthetic", False)),
                explanation=entry.get("explanation"),
            )
            for entry in document["answers"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ResourceError(
            f"the endpoint's answer is not one that this client reads ({error!r}): {body[:200]!r}"
        ) from error


def _likely(entries: Any, code: str) -> tuple[Likely, ...]:
    return tuple(
        Likely(str(entry[code]), str(entry["name"]), float(entry["probability"]))
        for entry in entries
    )


def _is_passing(error: botocore.exceptions.ClientError) -> bool:
    """Tell whether it may work in a moment: throttled, loading, scaling."""
    code = error.response["Error"]["Code"]
    if code == "ModelError":
        return _original_status(error) in (429, 503, 507)
    return code in {
        "ModelNotReadyException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
        "InternalDependencyException",
    }


def _reason(body: str) -> str:
    """Return the message in the server's JSON about an error, or what else it said."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return str(document.get("message", body)) if isinstance(document, dict) else body


def _original_status(error: botocore.exceptions.ClientError) -> int:
    return int(str(error.response.get("OriginalStatusCode", 500)))
