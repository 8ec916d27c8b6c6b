"""What assembling does for every system, seen at one that there is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from assembling import assemble
from gate import Decision
from job import Job
from judgement import Case, Judgement
from listening.archive import ArchiveWriter, pack, write_prior
from listening.errors import ArchiveError, DataError
from listening.intervals import Interval
from listening.systems import SYSTEMS, Channel, Gate, Metric, System, Task
from model_card import custom_details, evaluation_details
from report_frame import render

if TYPE_CHECKING:
    from pathlib import Path

HITS = Metric(name="hits")
TOY = replace(
    SYSTEMS["country"],
    name="toy",
    train=(),
    gate=Gate(metrics=(HITS,), decider=HITS, baseline="nothing"),
    assemble_hyperparameters=("least",),
)
TRAINED = replace(TOY, train=(Task(name="model", channels=(Channel(name="train", prefix="x/"),)),))
GAIN = {"hits": Interval(0.5, 0.25, 0.75)}


class Judge:
    """Writes a bundle of one text, and keeps the case."""

    def __init__(self, folder: Path) -> None:
        self.template = folder / "report.html.j2"
        self.template.write_text(
            '{% extends "frame.html.j2" %}{% block sections %}<h2>{{ title }}</h2>{% endblock %}'
        )
        self.case: Case | None = None
        self.version = ""

    def __call__(self, case: Case) -> Judgement:
        self.case = case
        writer = ArchiveWriter(case.job.model_folder)
        content = {"most_played": writer.text("most_played.txt", "7\n")}
        self.version = writer.finish("toy.bundle", content, synthetic=True)
        return Judgement(
            version=self.version,
            metrics={"hits": 0.5},
            differences={"nothing": GAIN},
            against_champion=GAIN if case.champion else {},
            document={"bundle_version": self.version, "metrics": {"hits": 0.5}},
            report=self.report,
            card=self.card,
            rules={"least": int(case.job.hyperparameters.get("least", "1"))},
        )

    def report(self, decision: Decision) -> str:
        return render(
            self.template,
            decision,
            system="toy",
            version=self.version,
            synthetic=True,
            pretty=str.upper,
            title="Most played <7>",
        )

    def card(self, decision: Decision) -> dict[str, object]:
        details = custom_details(decision, version=self.version, synthetic=True, plays=7)
        return {
            "evaluation_details": evaluation_details({"bundle": GAIN}, features_run="jr_1"),
            "additional_information": {"custom_details": details},
        }


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job that has no channel but the champion, which is the prior."""
    write_prior(tmp_path / "prior", system="toy")
    pack(tmp_path / "prior", tmp_path / "champion" / "bundle.tar.gz")
    return Job(
        hyperparameters={"task": "toy.assemble"},
        channels={"champion": tmp_path / "champion"},
        model_folder=tmp_path / "model",
        output_folder=tmp_path / "output",
    )


def with_models(job: Job, folder: Path, *names: str) -> Job:
    """Return the job with trained archives."""
    for name in names:
        writer = ArchiveWriter(folder / name)
        writer.finish("toy.model", {"text": writer.text("model.txt", name)})
        pack(folder / name, folder / "models" / f"{name}-0123" / "output" / "model.tar.gz")
    return replace(job, channels={**job.channels, "models": folder / "models"})


def assembled(job: Job, system: System, judge: Judge) -> dict:
    assemble(job, system=system, judge=judge)
    return json.loads((job.output_folder / "evaluation.json").read_text("utf-8"))


def test_a_system_that_trains_nothing_needs_no_models(job, judge, capsys):
    asked = replace(job, hyperparameters={**job.hyperparameters, "least": "3"})
    found = assembled(asked, TOY, judge)
    assert judge.case.models == ()
    assert judge.case.champion is None
    assert found["metrics"] == {"hits": 0.5}
    assert found["gate"] == {
        "decision": "Approved",
        "reasons": ["hits 0.5000 above the nothing's", "there is no champion yet"],
        "warnings": [],
        "rules": {"gate_metrics": ["hits"], "least": 3},
    }
    assert capsys.readouterr().out.splitlines() == [
        f"bundle {judge.version}: Approved",
        "test:hits=0.50000",
    ]


def test_the_judge_gets_every_trained_archive_and_the_champion(job, judge, tmp_path):
    writer = ArchiveWriter(tmp_path / "served")
    served = writer.finish("toy.bundle", {"most_played": writer.text("most_played.txt", "3\n")})
    pack(tmp_path / "served", tmp_path / "champion" / "bundle.tar.gz")
    found = assembled(with_models(job, tmp_path, "rock", "jazz"), TRAINED, judge)
    assert [archive.folder.parent.name for archive in judge.case.models] == [
        "jazz-0123",
        "rock-0123",
    ]
    assert {archive.kind for archive in judge.case.models} == {"toy.model"}
    assert judge.case.champion.version == served
    assert f"not significantly worse than champion {served} on hits" in found["gate"]["reasons"]


def test_report_and_card_tell_the_decision(job, judge):
    assembled(job, TOY, judge)
    report = (job.output_folder / "report.html").read_text("utf-8")
    assert f"<title>listening toy {judge.version} (synthetic)</title>" in report
    assert '<span class="badge Approved">Approved</span>' in report
    assert "SYNTHETIC listeners" in report
    assert "champion's HITS." in report
    assert "<h2>Most played &lt;7&gt;</h2>" in report
    for folder in (job.output_folder, job.model_folder):
        card = json.loads((folder / "model_card.json").read_text("utf-8"))
        details = card["additional_information"]["custom_details"]
        assert details["bundle_version"] == judge.version
        assert details["gate_decision"] == "Approved"
        assert details["plays"] == "7"
        (metrics,) = card["evaluation_details"][0]["metric_groups"]
        assert metrics["metric_data"][0]["notes"] == "0.2500 to 0.7500"


def test_a_detail_is_no_longer_than_the_schema_allows():
    decision = Decision(approved=False, reasons=("why " * 400,), warnings=(), rules={})
    found = custom_details(decision, version="0123", synthetic=False)
    assert len(found["gate_reasons"]) == 1024


def test_what_cannot_be_assembled_is_told(job, judge, tmp_path):
    asked = replace(job, hyperparameters={**job.hyperparameters, "most": "3"})
    with pytest.raises(DataError, match="most; known are task, item, seed, gate_metrics, least"):
        assemble(asked, system=TOY, judge=judge)
    with pytest.raises(DataError, match="channel 'models' is missing"):
        assemble(job, system=TRAINED, judge=judge)
    broken = with_models(job, tmp_path, "rock")
    (archive,) = (tmp_path / "models").rglob("model.tar.gz")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(ArchiveError, match=r"rock-0123/output/model.tar.gz: not a complete"):
        assemble(broken, system=TRAINED, judge=judge)
    (tmp_path / "champion" / "bundle.tar.gz").rename(tmp_path / "champion" / "bundle.zip")
    with pytest.raises(DataError, match="channel 'champion' has no archive"):
        assemble(job, system=TOY, judge=judge)
    assert judge.case is None
