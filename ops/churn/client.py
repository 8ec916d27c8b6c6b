"""A client of the endpoint: what listeners did in, whether they will be gone out.

>>> from ops.churn.client import ChurnClient, Day, Past
>>> from ops.connection import connect_aws
>>> client = ChurnClient(connect_aws("me", environment="prod"))  # doctest: +SKIP
>>> past = Past([Day("2024-05-01", plays=12, seconds=2500)], as_of="2024-05-09")
>>> [answer] = client.ask([past])  # doctest: +SKIP
>>> answer["gone"][-1]["probability"]  # doctest: +SKIP
0.31
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from listening.resources import target_model
from listening.systems import CHURN
from ops import endpoint, registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.connection import Connection

MOST_LISTENERS = 100  # of a request


@dataclass(frozen=True)
class Day:
    """What a listener did on a day, such as ``2024-05-01``, UTC."""

    day: str
    plays: float = 0
    searches: float = 0
    downloads: float = 0
    seconds: float = 0
    full: float = 0
    skips: float = 0
    artists: float = 0


@dataclass(frozen=True)
class Past:
    """What is known of a listener at a date.

    Parameters
    ----------
    activity
        Days with something.
    as_of
        The date: that day and what comes after is not looked at; None for today.
    device
        What was used last.
    registered_at
        When the account was made.
    user_id
        Whose.
    """

    activity: Sequence[Day]
    as_of: str | None = None
    device: str | None = None
    registered_at: str | None = None
    user_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return this as the endpoint takes it."""
        told = {name: value for name, value in vars(self).items() if value is not None}
        return told | {"activity": [asdict(day) for day in self.activity]}


class ChurnClient:
    """Asks an environment's endpoint who will be gone.

    Parameters
    ----------
    connection
        The environment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(
        self, listeners: Sequence[Past | dict[str, Any]], *, version: str | None = None
    ) -> list[dict[str, Any]]:
        """Return an answer for each listener, as the endpoint gives it.

        Parameters
        ----------
        listeners
            What they did, or requests of the endpoint's own form.
        version
            Whom to ask; None for the champion.

        Raises
        ------
        RequestError
            The endpoint refused the request; names the field.
        ResourceError
            The endpoint or the bundle is missing or failing.
        """
        version = version or registry.champion(self._connection, CHURN.name)
        target = target_model(CHURN.name, version)
        documents = [one.to_json() if isinstance(one, Past) else one for one in listeners]
        answers: list[dict[str, Any]] = []
        for start in range(0, len(documents), MOST_LISTENERS):
            request = {"listeners": documents[start : start + MOST_LISTENERS]}
            answers += endpoint.ask(self._connection, request, target=target)
        return answers
