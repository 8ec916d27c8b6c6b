"""The invented world keeps its own laws, and says what they are."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from listening.errors import DataError
from listening.log.raw_formats import SYNTHETIC
from ops.cli.app import app
from ops.raw_folder import check_folder
from ops.world import write_sample, write_world
from ops.world.best import Forecast
from ops.world.habits import GAP_S
from ops.world.plays import NOISE, best_rating
from ops.world.world import PLAYS_PER_SESSION

if TYPE_CHECKING:
    from pathlib import Path

LISTENERS, DAYS, PLAYS = 1_500, 120, 300_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, listeners=LISTENERS, artists=1_000, days=DAYS, plays=PLAYS, processes=1)
    return folder


@pytest.fixture(scope="module")
def planted(folder: Path) -> Any:
    return json.loads((folder / "planted.json").read_text())


def table(folder: Path, name: str) -> Any:
    return ds.dataset(folder / name, format="parquet").to_table()


def content(folder: Path) -> dict[str, str]:
    """Return a digest of the rows of each table, and of each other file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            is_table = path.suffix == ".parquet"
            rows = str(pq.read_table(path).to_pydict()).encode() if is_table else path.read_bytes()
            found[str(path.relative_to(folder))] = hashlib.sha256(rows).hexdigest()[:12]
    return found


def test_every_row_names_a_listener_and_a_track_that_are_there(folder: Path) -> None:
    users = set(table(folder, "users")["user_id"].to_pylist())
    tracks = set(pq.read_table(folder / "tracks.parquet")["track_id"].to_pylist())
    assert len(users) == LISTENERS
    for name in ("plays", "events", "ratings"):
        rows = table(folder, name)
        named = {user for user in pc.unique(rows["user_id"]).to_pylist() if "bot" not in user}
        assert named <= users
        assert set(pc.unique(rows["track_id"]).to_pylist()) - {None} <= tracks
    assert (folder / SYNTHETIC).exists()


def test_the_check_finds_the_dirt_that_was_planted(folder: Path, planted: Any) -> None:
    raw = check_folder(folder)
    dirt = planted["dirt"]
    assert dict(raw.tables["plays"].dropped) == {
        name: dirt[name] for name in ("negative_length", "over_a_day", "before_2000")
    }
    assert raw.tables["plays"].rows == planted["rows"]["plays"] + sum(
        count for name, count in dirt.items() if name != "bots"
    )


def test_there_are_about_as_many_plays_as_asked_for(planted: Any) -> None:
    assert 0.7 < planted["rows"]["plays"] / PLAYS < 1.4
    filled = planted["rows"]["plays"] / planted["rows"]["sessions"]
    assert filled == pytest.approx(PLAYS_PER_SESSION, rel=0.05)


def test_half_an_hour_of_silence_parts_exactly_the_planted_sessions(folder: Path) -> None:
    plays = table(folder, "plays").filter(~pc.starts_with(pc.field("user_id"), "bot"))
    starts = plays["played_at"].cast("int64").to_numpy() / 1e6
    heard = plays["played_s"].to_numpy()
    good = (heard > 0) & (heard < 86_400) & (starts > 1.6e9)
    user = plays["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    user, starts, heard = user[good], starts[good], heard[good]
    order = np.lexsort((starts, user))
    user, starts, ends = user[order], starts[order], (starts + heard)[order]
    gap = (np.diff(user, prepend=-1) != 0) | (starts - np.roll(ends, 1) > GAP_S)
    sessions = table(folder, "planted/sessions")
    assert int(gap.sum()) == sessions.num_rows
    last = np.append(np.flatnonzero(gap)[1:] - 1, len(ends) - 1)
    lengths = np.maximum.reduceat(ends, np.flatnonzero(gap)) - starts[gap]
    assert np.sort(lengths) == pytest.approx(
        np.sort(sessions["length_s"].to_numpy()), rel=1e-4, abs=0.1
    )
    assert len(last) == sessions.num_rows


def test_lengths_follow_the_quantiles_of_the_best_forecast(folder: Path, planted: Any) -> None:
    sessions = table(folder, "planted/sessions")
    mean, sd = (sessions[name].to_numpy().astype(float) for name in ("log_mean", "log_sd"))
    lengths = sessions["length_s"].to_numpy()
    for quantile in (0.1, 0.5, 0.9):
        below = (lengths <= Forecast(mean, sd).quantile(quantile)).mean()
        assert below == pytest.approx(quantile, abs=0.015)
    best = planted["sessions"]["best_mae"]
    median = Forecast(mean, sd).quantile(0.5)
    assert best == pytest.approx(np.abs(lengths - median).mean(), rel=1e-4)
    assert best < 0.97 * np.abs(lengths - np.median(lengths)).mean()


def test_probabilities_of_leaving_are_calibrated_and_the_auc_is_that_of_the_rows(
    folder: Path, planted: Any
) -> None:
    rows = table(folder, "planted/churn")
    for horizon in (14, 7, 3):
        p = rows[f"p{horizon}"].to_numpy()
        gone = rows[f"gone{horizon}"].to_numpy(zero_copy_only=False)
        for low in np.arange(0, 1, 0.2):
            inside = (p >= low) & (p < low + 0.2)
            if inside.sum() > 200:
                assert gone[inside].mean() == pytest.approx(p[inside].mean(), abs=0.06)
        said = planted["churn"][f"{horizon}_days"]
        order = np.argsort(p, kind="stable")
        rank = np.empty(len(p))
        rank[order] = np.arange(1, len(p) + 1)
        went = gone.sum()
        auc = (rank[gone].sum() - went * (went + 1) / 2) / (went * (len(p) - went))
        assert said["best_auc"] == pytest.approx(auc, abs=0.003)
        loss = -np.where(gone, np.log(p), np.log1p(-p)).mean()
        assert said["best_log_loss"] == pytest.approx(loss, abs=1e-6)


def test_the_label_is_what_the_plays_say(folder: Path) -> None:
    plays = table(folder, "plays").filter(pc.field("played_s") > 0)
    plays = plays.filter(pc.field("played_s") < 86_400)
    rows = table(folder, "planted/churn")
    date = rows["at"][0]
    at_date = rows.filter(pc.equal(rows["at"], date))
    day = date.as_py()
    later = plays.filter(
        (pc.field("played_at") >= day)
        & (pc.field("played_at") < day + np.timedelta64(14, "D").item())
    )
    came = set(later["user_id"].to_pylist())
    for user, gone in zip(
        at_date["user_id"].to_pylist(), at_date["gone14"].to_pylist(), strict=True
    ):
        assert gone == (user not in came)


def test_the_noise_floor_of_ratings_is_that_of_their_law() -> None:
    rng = np.random.default_rng(3)
    mean = rng.normal(3.3, 0.8, 200_000)
    rating = np.rint(mean + rng.normal(0, NOISE, len(mean))).clip(1, 5)
    error = rating - best_rating(mean)
    assert error.mean() == pytest.approx(0, abs=0.01)
    better = rating - best_rating(mean) - rng.normal(0, 0.1, len(mean))
    assert (error**2).mean() < (better**2).mean()


@pytest.mark.process
def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        write_world(
            tmp_path / name,
            listeners=1_500,
            artists=1_000,
            days=80,
            plays=20_000,
            processes=processes,
        )
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_the_sample_of_country_is_the_one_whose_figures_the_readme_has(tmp_path: Path) -> None:
    write_sample(tmp_path, listeners=700, artists=1_500)
    held = content(tmp_path)
    assert held["users.parquet"] == "f20964fda436"
    assert held["top_artists.parquet"] == "b8e050116c7d"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"listeners": 10}, "500 to 600,000 listeners, not 10"),
        ({"days": 30}, "75 to 3,650 days, not 30"),
        ({"plays": 10}, "2,000 to 200,000,000 plays, not 10"),
        ({"artists": 10}, "1,000 to 200,000 artists, not 10"),
    ],
)
def test_what_is_out_of_range_is_refused(
    tmp_path: Path, arguments: dict[str, int], reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        write_world(tmp_path, **arguments)


def test_the_command_line_invents_a_world(tmp_path: Path) -> None:
    command = ["data", "invent", str(tmp_path / "w"), "--listeners", "500", "--artists", "1000"]
    result = CliRunner().invoke(app, [*command, "--days", "80", "--plays", "5000", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"]["plays"] > 1000
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1
    assert "is not empty" in again.stderr
