"""A client of the endpoint: earlier sessions in, how long this one lasts out.

>>> from ops.sessions.client import History, PastSession, SessionsClient
>>> from ops.connection import connect_aws
>>> client = SessionsClient(connect_aws("me", environment="prod"))  # doctest: +SKIP
>>> past = PastSession("2024-05-01T18:00:00Z", "2024-05-01T19:10:00Z", plays=17)
>>> [answer] = client.ask([History([past])])  # doctest: +SKIP
>>> answer["length_s"]["0.5"]  # doctest: +SKIP
2410.5
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from listening.resources import target_model
from listening.systems import SESSIONS
from ops import endpoint, registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.connection import Connection

MOST_LISTENERS = 100  # of a request


@dataclass(frozen=True)
class PastSession:
    """A session that has ended; times as ISO 8601 or seconds since 1970, UTC."""

    start: str | float
    end: str | float
    plays: int = 0
    skips: int = 0


@dataclass(frozen=True)
class History:
    """What is known of a listener at a moment.

    Parameters
    ----------
    sessions
        Earlier ones.
    now
        The moment; None for the present.
    user_id
        Whose.
    """

    sessions: Sequence[PastSession]
    now: str | float | None = None
    user_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return this as the endpoint takes it."""
        document: dict[str, Any] = {"sessions": [asdict(session) for session in self.sessions]}
        for name, value in (("now", self.now), ("user_id", self.user_id)):
            if value is not None:
                document[name] = value
        return document


class SessionsClient:
    """Asks an environment's endpoint how long sessions will last.

    Parameters
    ----------
    connection
        The environment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(
        self,
        listeners: Sequence[History | dict[str, Any]],
        *,
        longer_than: Sequence[float] = (),
        version: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return an answer for each listener, as the endpoint gives it.

        Parameters
        ----------
        listeners
            Histories, or requests of the endpoint's own form.
        longer_than
            Seconds of which the probability that the session is longer is asked for.
        version
            Whom to ask; None for the champion.

        Raises
        ------
        RequestError
            The endpoint refused the request; names the field.
        ResourceError
            The endpoint or the bundle is missing or failing.
        """
        version = version or registry.champion(self._connection, SESSIONS.name)
        target = target_model(SESSIONS.name, version)
        documents = [one.to_json() if isinstance(one, History) else one for one in listeners]
        answers: list[dict[str, Any]] = []
        for start in range(0, len(documents), MOST_LISTENERS):
            request: dict[str, Any] = {"listeners": documents[start : start + MOST_LISTENERS]}
            if longer_than:
                request["longer_than"] = list(longer_than)
            answers += endpoint.ask(self._connection, request, target=target)
        return answers
