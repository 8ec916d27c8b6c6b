"""What every entry must keep, whoever's it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from listening.errors import ResourceError
from listening.log.tables import TABLES
from listening.regions import SLUG, default_regions
from listening.systems import SYSTEMS, Channel, Job, System, Task, validation_metric

COUNTRY = SYSTEMS["country"]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_an_entry_names_what_there_is(system: System) -> None:
    assert set(system.needs) | set(system.uses) <= set(TABLES)
    assert len({metric.name for metric in system.gate.metrics}) == len(system.gate.metrics)
    assert all(system.output(table.job) for table in system.catalog)
    mapped = [channel.prefix for task in system.train if task.each for channel in task.channels]
    single = [c.prefix for task in system.train if not task.each for c in task.channels]
    assert not any("{}" in prefix for prefix in [*single, *(c.prefix for c in system.assemble)])
    assert any("{}" in prefix for prefix in mapped) == bool(mapped)


def test_regions_fit_into_what_the_country_task_is_mapped_over() -> None:
    (task,) = (task for task in COUNTRY.train if task.each)
    regions = default_regions().regions
    assert len(regions) <= task.most
    assert all(SLUG.fullmatch(region.slug) for region in regions)


def test_the_last_job_of_the_workflow_makes_the_features() -> None:
    assert [job.name for job in COUNTRY.workflow] == ["embeddings", "features"]
    assert COUNTRY.features.name == "features"
    assert COUNTRY.script(COUNTRY.features) == "country/features.py"
    assert COUNTRY.output("features") == "country/features/"


def test_what_is_not_in_an_entry_is_named() -> None:
    with pytest.raises(ResourceError, match="no job 'x'; it has embeddings, features, scoring"):
        COUNTRY.job("x")
    with pytest.raises(ResourceError, match="no metric 'x'; it has log_loss, accuracy"):
        COUNTRY.gate["x"]


def test_an_entry_that_would_make_invalid_names_is_refused() -> None:
    with pytest.raises(ResourceError, match="'Two words' must be 2 to 16 of a-z"):
        replace(COUNTRY, name="Two words")
    channels = (Channel(name="train", prefix="x/"),)
    for name in ("more-than-twelve", "assemble"):
        with pytest.raises(ResourceError, match=f"task '{name}' .* another name"):
            replace(COUNTRY, train=(Task(name=name, channels=channels),))
    with pytest.raises(ResourceError, match="job 'one' of system country reads nothing_there"):
        replace(COUNTRY, jobs=(Job(name="one", makes="", reads=("nothing_there",)),), catalog=())


def test_an_optional_task_is_trained_only_where_it_is_named() -> None:
    sessions = SYSTEMS["sessions"]
    assert sessions.optional_tasks == ("gru", "lstm")
    required = [task.name for task in sessions.train if not task.optional]
    assert [task.name for task in sessions.trained()] == required
    assert [task.name for task in sessions.trained(["lstm"])] == [*required, "lstm"]
    assert [task.name for task in sessions.trained(["lstm", "gru"])] == [*required, "gru", "lstm"]
    assert COUNTRY.trained() == COUNTRY.train
    only = Task(name="one", channels=(Channel(name="train", prefix="x/"),), optional=True)
    with pytest.raises(ResourceError, match="every task is optional"):
        replace(COUNTRY, train=(only,))


def test_a_metric_is_read_as_it_is_printed() -> None:
    name, pattern = validation_metric("log_loss")
    assert (name, pattern) == ("validation:log_loss", "validation:log_loss=([0-9.]+);")
