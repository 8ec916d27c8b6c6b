"""Questions about listeners in JSON: one, a list of them as ``listeners``, or JSON Lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from inference.bodies import listed, read_json, read_json_lines, write_json, write_json_lines
from inference.fields import shown
from inference.media import JSON, JSON_LINES, choose_reader
from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

Question = TypeVar("Question")
LISTENERS = "listeners"
MEDIA_TYPES = (JSON, JSON_LINES)


@dataclass(frozen=True)
class Questions(Generic[Question]):
    """Questions; `single` where the caller sent one, not a list of one."""

    items: list[Question]
    single: bool = False


@dataclass(frozen=True, kw_only=True)
class Form(Generic[Question]):
    """What a question looks like.

    Parameters
    ----------
    example
        One, as JSON, for errors.
    known
        Its fields.
    shared
        Those of them that a list of listeners may be given once.
    read
        Gets the fields, and what to write before a field's name in an error.
    """

    example: str
    known: Collection[str]
    shared: Collection[str]
    read: Callable[[Mapping[str, Any], str], Question]

    def parse(self, body: bytes, content_type: str) -> Questions[Question]:
        """Read a request's body.

        Raises
        ------
        RequestError
            415 for another media type, 413 for too much, 400 for everything else.
        """
        media_type, _ = choose_reader(content_type, {name: name for name in MEDIA_TYPES})
        if media_type == JSON_LINES:
            entries = read_json_lines(body, self.example)
            return Questions([self._one(entry, where, {}) for where, entry in entries])
        document = read_json(body, f'{self.example} or {{"{LISTENERS}": […]}}')
        if LISTENERS not in document:
            return Questions([self._one(document, "", {})], single=True)
        if unknown := [name for name in document if name not in (LISTENERS, *self.shared)]:
            known = ", ".join((LISTENERS, *self.shared))
            raise RequestError(f"{unknown[0]}: is not known beside {LISTENERS}; send {known}")
        shared = {name: document[name] for name in self.shared if name in document}
        return Questions(
            [
                self._one(entry, f"{LISTENERS}[{i}].", shared)
                for i, entry in enumerate(listed(document))
            ]
        )

    def _one(self, entry: Any, where: str, shared: Mapping[str, Any]) -> Question:
        if not isinstance(entry, dict):
            raise RequestError(
                f"{where}: must be an object such as {self.example}, got {shown(entry)}"
            )
        document = {**shared, **entry}
        if unknown := [name for name in document if name not in self.known]:
            raise RequestError(f"{where}{unknown[0]}: is not known; send {', '.join(self.known)}")
        return self.read(document, where)


def write_answers(answers: list[dict[str, Any]], media_type: str, *, single: bool) -> bytes:
    """Return answers as their media type has them, of `MEDIA_TYPES`."""
    if media_type == JSON_LINES:
        return write_json_lines(answers)
    return write_json(answers, single=single)
