"""The handler of sessions' archives: a request's body in, the answer's body out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inference.media import negotiate
from inference.parts import PartHandler
from inference.questions import MEDIA_TYPES, write_answers
from inference.sessions.inputs import Question, parse
from listening.sessions.bundle import BUNDLE, MODEL, PRIOR
from listening.sessions.forecast import LEVELS
from listening.sessions.forecaster import Forecast, Forecaster

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from listening.archive import Archive

DIGITS = 3  # of seconds
_NAMES = tuple(map(str, LEVELS))


class SessionsHandler:
    """Answers with an archive of any of sessions' kinds."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._forecaster = Forecaster(archive)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request; see `inference.handlers.Handler`."""
        media_type = negotiate(accept, content_type, MEDIA_TYPES)
        questions = parse(body, content_type, gap_s=self._forecaster.gap_s)
        forecasts = self._forecaster.forecast([q.moment for q in questions.items])
        answers = [self._answer(q, f) for q, f in zip(questions.items, forecasts, strict=True)]
        return write_answers(answers, media_type, single=questions.single), media_type

    def _answer(self, question: Question, forecast: Forecast) -> dict[str, Any]:
        answer: dict[str, Any] = {} if question.user_id is None else {"user_id": question.user_id}
        now = datetime.fromtimestamp(question.moment.now, UTC)
        answer |= {
            "now": now.isoformat().replace("+00:00", "Z"),
            "length_s": _quantiles(forecast.length),
        }
        if forecast.remaining is not None:
            answer["remaining_s"] = _quantiles(forecast.remaining)
        if question.longer_than:
            answer["longer_than"] = [
                {"seconds": limit, "probability": round(forecast.longer_than(limit), 4)}
                for limit in question.longer_than
            ]
        answer |= {
            "cluster": forecast.cluster,
            "based_on": forecast.based_on,
            "sessions_used": forecast.sessions_used,
            "prior": forecast.based_on == "prior",
            "bundle_version": self.archive.version,
            "synthetic": self.archive.synthetic,
        }
        if question.notes:
            answer["notes"] = list(question.notes)
        return answer


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in zip(_NAMES, values, strict=True)}


HANDLERS: Mapping[str, Callable[[Archive], SessionsHandler | PartHandler]] = {
    BUNDLE: SessionsHandler,
    PRIOR: SessionsHandler,
    MODEL: PartHandler,
}
