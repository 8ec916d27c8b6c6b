"""The task that makes a bundle of an execution's models, judges it and decides about it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from country.calibration import fit_calibration
from country.chained import ChainScores, chain_tasks
from country.evaluation import Evaluation, Subject, evaluate, evaluation_json
from country.features import FeaturesManifest, read_listeners, read_plays
from country.fitting import Training, flat_task
from country.held_out import HeldOut
from country.model_card import model_card
from country.report import report
from country.single import TRAINING
from gate import RULES, Decision, Rules, decide
from listening.country import artist_index, bundle
from listening.country.artist_table import read_artist_table
from listening.country.bundle import About, Hierarchy, Prior, SingleModel, TrainedModel
from listening.country.predictor import load_model
from listening.errors import BundleError, DataError, LayoutError

if TYPE_CHECKING:
    from country.features import Listeners
    from country.recipe import Recipe
    from job import Job
    from listening.country.artist_table import ArtistTable
    from listening.country.model_spec import ModelSpec


def assemble(job: Job) -> None:
    """Write the hierarchy bundle, and its evaluation, report, model card and artist index.

    Channels: ``features`` (the manifest), ``artists``, ``train``, ``validation``, ``test``,
    ``plays`` (the test listeners' cleaned plays), ``models`` (every archive that this execution
    trained) and ``champion`` (the archive that is served now).
    """
    unknown = set(job.hyperparameters) - RULES - {"task", "seed"}
    if unknown:
        raise DataError(
            f"unknown hyperparameter {', '.join(sorted(unknown))}; "
            f"known to 'assemble' are task, {', '.join(sorted(RULES))}"
        )
    rules = Rules.of(job.hyperparameters)
    manifest = FeaturesManifest.read(job.channel("features"))
    artists = read_artist_table(job.channel("artists"), manifest.document)
    with tempfile.TemporaryDirectory() as scratch:
        singles = _unpack_models(job.channel("models"), Path(scratch), manifest)
        trainings = {name: _training(single) for name, single in singles.items()}
        train = read_listeners(job.channel("train"), manifest.layout)
        validation = read_listeners(job.channel("validation"), manifest.layout)
        chain = calibrated_chain(manifest, singles, trainings["region"].recipe, train, validation)
        _write_bundle(job.model_folder, manifest, singles, chain, artists)
        subject = Subject(
            manifest=manifest,
            bundle=_load_hierarchy(job.model_folder),
            flat=load_model(singles["flat"], singles["flat"].model),
            train=train,
            validation=validation,
            test=read_listeners(job.channel("test"), manifest.layout),
            plays=read_plays(job.channel("plays")),
            artists=artists,
            trainings=trainings,
            champion=_champion(job.channel("champion"), Path(scratch) / "champion"),
            gate_min_listeners=rules.gate_min_listeners,
        )
        if subject.test.user_ids.tolist() != subject.plays.user_ids.tolist():
            raise DataError(
                "channels 'test' and 'plays' hold different listeners; both must be of features "
                f"run {manifest.run}"
            )
        evaluation = evaluate(subject)
        decision = decide(
            rules,
            against_prior=evaluation.differences["prior"],
            against_flat=evaluation.differences["flat"],
            against_champion=evaluation.against_champion,
            champion=subject.champion.version if subject.champion else None,
        )
        _write_outputs(job, subject, evaluation, decision)


def _unpack_models(
    channel: Path, scratch: Path, manifest: FeaturesManifest
) -> dict[str, SingleModel]:
    """Return the models of this execution by name, each unpacked into a folder of its own."""
    found: dict[str, SingleModel] = {}
    for number, archive in enumerate(sorted(channel.rglob("model.tar.gz"))):
        folder = scratch / str(number)
        bundle.unpack(archive, folder)
        single = bundle.load(folder)
        if not isinstance(single, SingleModel):
            raise BundleError(f"{archive}: a {single.kind}, expected a single model")
        if single.layout != manifest.layout:
            raise LayoutError(
                f"{archive}: model '{single.model.name}' was trained on another feature layout "
                f"than features run {manifest.run} has; train all models on one features run"
            )
        found[single.model.name] = single
    tasks = chain_tasks(manifest.regions, manifest.train_counts)
    tasks.append(flat_task(manifest.regions, manifest.train_counts))
    for task in tasks:
        if task.name not in found:
            raise DataError(
                f"channel 'models' has no model '{task.name}'; it has "
                f"{', '.join(sorted(found)) or 'none'}: train it in the same execution"
            )
        if set(found[task.name].model.classes) != set(task.classes):
            raise DataError(
                f"model '{task.name}' was trained for other classes than features run "
                f"{manifest.run} has; train all models on one features run"
            )
    return {task.name: found[task.name] for task in tasks}


def calibrated_chain(
    manifest: FeaturesManifest,
    singles: dict[str, SingleModel],
    recipe: Recipe,
    train: Listeners,
    validation: Listeners,
) -> list[ModelSpec]:
    """Return the region model and the country models, calibrated together.

    One scale and one noise for the whole chain are fitted on listeners of all regions, whatever
    each model was given for itself as a target of its own: see `chained.ChainScores`.
    """
    tasks = chain_tasks(manifest.regions, manifest.train_counts)
    models = [load_model(singles[task.name], singles[task.name].model) for task in tasks]
    listeners = HeldOut.of(train, validation, [model.spec for model in models])
    scores = ChainScores.held_out(models, tasks, listeners)
    true = flat_task(manifest.regions, manifest.train_counts).labels(listeners.countries)
    calibration = fit_calibration(
        scores.log_of(true), power=recipe.prior_power, noisy=recipe.label_noise == "yes"
    )
    return scores.specs(calibration)


def _write_bundle(
    folder: Path,
    manifest: FeaturesManifest,
    singles: dict[str, SingleModel],
    chain: list[ModelSpec],
    artists: ArtistTable,
) -> None:
    total = sum(manifest.train_counts.values())
    bundle.write_hierarchy(
        folder,
        About(
            layout=manifest.layout,
            regions=manifest.regions,
            countries=manifest.countries,
            created_from={
                "features_run": manifest.run,
                "embeddings_run": manifest.document.get("embeddings_run"),
                "models": {name: single.version for name, single in singles.items()},
            },
            synthetic=manifest.synthetic,
        ),
        models=[TrainedModel(spec, _text(singles[spec.name])) for spec in chain],
        artists=artists,
        prior={code: manifest.train_counts[code] / total for code in manifest.regions.region_of},
    )


def _text(single: SingleModel) -> str | None:
    file = single.model.file
    return None if file is None else (single.folder / file).read_text("utf-8")


def _training(single: SingleModel) -> Training:
    path = single.folder / TRAINING
    try:
        return Training.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: not the record of a training ({error!r})") from error


def _load_hierarchy(folder: Path) -> Hierarchy:
    loaded = bundle.load(folder)
    if not isinstance(loaded, Hierarchy):
        raise BundleError(f"{folder}: a {loaded.kind}, expected a hierarchy")
    return loaded


def _champion(channel: Path, folder: Path) -> Hierarchy | None:
    """Return the champion's bundle; None where it is the prior, which anyone may beat."""
    archives = sorted(channel.rglob("*.tar.gz"))
    if not archives:
        raise DataError("channel 'champion' has no archive; it must hold endpoint/<champion>/…")
    bundle.unpack(archives[0], folder)
    loaded = bundle.load(folder)
    return None if isinstance(loaded, Prior) else _load_hierarchy(folder)


def _write_outputs(job: Job, subject: Subject, evaluation: Evaluation, decision: Decision) -> None:
    document = {**evaluation_json(subject, evaluation), "gate": decision.to_json()}
    card = json.dumps(model_card(subject, evaluation, decision), indent=1, ensure_ascii=False)
    job.output_folder.mkdir(parents=True, exist_ok=True)
    (job.output_folder / "evaluation.json").write_text(json.dumps(document, indent=1), "utf-8")
    (job.output_folder / "report.html").write_text(report(subject, evaluation, decision), "utf-8")
    artist_index.write_artist_index(subject.artists, job.output_folder / artist_index.FOLDER)
    for folder in (job.output_folder, job.model_folder):
        (folder / "model_card.json").write_text(card, "utf-8")
    metrics = document["metrics"]
    print(f"bundle {subject.bundle.version}: {document['gate']['decision']}")
    for name in ("accuracy", "top5", "macro_f1", "log_loss"):
        print(f"test:{name}={metrics[name]:.5f}")
