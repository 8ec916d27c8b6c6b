"""The handler of churn's archives: a request's body in, the answer's body out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.churn.inputs import Question, parse
from inference.media import negotiate
from inference.parts import PartHandler
from inference.questions import MEDIA_TYPES, write_answers
from listening.churn.bundle import BUNDLE, MODEL, PREDICTIONS, PRIOR
from listening.churn.features import POPULATION, Snapshots
from listening.churn.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from listening.archive import Archive

_ONE = np.zeros(1, dtype=np.int64)
DIGITS = 4


class ChurnHandler:
    """Answers with an archive of churn's kinds that answer."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._scorer = Scorer(archive)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """Answer a request; see `inference.handlers.Handler`."""
        media_type = negotiate(accept, content_type, MEDIA_TYPES)
        questions = parse(body, content_type, horizons=self._scorer.days)
        answers = [self._answer(question) for question in questions.items]
        return write_answers(answers, media_type, single=questions.single), media_type

    def _answer(self, question: Question) -> dict[str, Any]:
        scorer, known = self._scorer, Snapshots(question.activity)
        scored = scorer.score(known, _ONE, question.as_of, [question.device])
        risks = scored.risks
        days = question.days or scorer.days
        gone = []
        for place, horizon in enumerate(scorer.days):
            if horizon not in days:
                continue
            told: dict[str, Any] = {
                "days": horizon,
                "probability": round(float(risks.probability[0, place]), DIGITS),
                "recency_alone": round(float(risks.recency_alone[0, place]), DIGITS),
            }
            if scorer.base_rates is not None:
                told["base_rate"] = round(scorer.base_rates[place], DIGITS)
                told["decile"] = int(risks.tenth[0, place])
            gone.append(told)
        (reasons,) = scorer.reasons(scored.rows, days[-1])
        last = int(known.last_day(_ONE)[0])
        in_population = bool(known.population(question.as_of).size)
        notes = list(question.notes)
        if not in_population:
            notes.append(
                f"nothing in the {POPULATION} days before as_of: training knew nobody like this"
            )
        answer: dict[str, Any] = {} if question.user_id is None else {"user_id": question.user_id}
        answer |= {
            "as_of": _date(question.as_of),
            "gone": gone,
            "reasons": [{"text": one.text, "log_odds": one.log_odds} for one in reasons],
            "reasons_of": days[-1],
            "last_active": _date(last) if last else None,
            "in_population": in_population,
            "bot": bool(scored.is_bot[0]),
            "prior": scorer.is_prior,
            "bundle_version": self.archive.version,
            "synthetic": self.archive.synthetic,
        }
        if notes:
            answer["notes"] = notes
        return answer


def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))


HANDLERS: Mapping[str, Callable[[Archive], ChurnHandler | PartHandler]] = {
    BUNDLE: ChurnHandler,
    PRIOR: ChurnHandler,
    MODEL: PartHandler,
    PREDICTIONS: PartHandler,
}
"""By the archive's kind."""
