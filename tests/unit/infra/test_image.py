"""The image, as far as a machine without a docker engine can tell.

The emulator's staging stands for the build: it puts what the Dockerfile copies where the image has
it, and the environment of the same pinned requirements runs SageMaker's two words from there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.settings import Settings
from listening.archive import pack, unpack, write_prior
from local_aws.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venvs" / "image" / "bin" / "python"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL = DOCKERFILE.rsplit("\nFROM ", 1)[1]
WITHIN = 60  # seconds until the server answers

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="the image's environment is missing: run `make setup`"
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Stage the image."""
    return Image.stage(project=ROOT, python=PYTHON, into=tmp_path_factory.mktemp("image"))


def environment(image: Image, **more: str) -> dict[str, str]:
    return {"PATH": image.path, **image.environment, **more}


# What the Dockerfile says


def test_sagemaker_finds_its_labels() -> None:
    for capability in ("multi-models", "accept-bind-to-port"):
        assert f"com.amazonaws.sagemaker.capabilities.{capability}=true" in FINAL


def test_the_base_is_a_setting_with_an_exact_tag() -> None:
    default = Settings(environment="dev", region="eu-central-1").base_image
    assert DOCKERFILE.splitlines()[1] == f"ARG BASE_IMAGE={default}"
    assert DOCKERFILE.count("FROM ${BASE_IMAGE}") == DOCKERFILE.count("FROM ") == 2
    assert not default.endswith(":latest")


def test_libgomp_is_in_the_image_and_no_compiler() -> None:
    installed = re.findall(r"--no-install-recommends (.+?) \\", FINAL)
    assert installed == ["libgomp1"]
    assert "gcc" not in FINAL


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "requirements" / "image.txt").read_text().splitlines()
    requirements = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert requirements
    assert all(re.match(r"[a-z0-9._\[\],-]+==\S+", line, re.I) for line in requirements)


def test_what_optional_tasks_need_is_left_out_unless_asked_for_and_fits() -> None:
    assert "ARG RECURRENT=false" in DOCKERFILE.splitlines()
    (step,) = re.findall(r"^RUN if (.+?); then", DOCKERFILE, re.M)
    assert step == '[ "${RECURRENT}" = true ]'
    image, recurrent = (
        dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements" / lock).read_text(), re.M))
        for lock in ("image.txt", "recurrent.txt")
    )
    shared = image.keys() & recurrent.keys()
    assert "numpy" in shared
    assert {name: image[name] for name in shared} == {name: recurrent[name] for name in shared}


def test_the_build_context_holds_what_is_copied() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[1] == "*"
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            source = line.split()[1]
            assert (ROOT / source).exists()
            assert f"!{source}" in ignore


def test_the_health_check_asks_the_port_that_sagemaker_names() -> None:
    (check,) = re.findall(r"CMD (\[.+\])", DOCKERFILE)
    assert "SAGEMAKER_BIND_TO_PORT" in json.loads(check)[2]
    compile(json.loads(check)[2], "health check", "exec")


def test_serve_gives_up_root_where_the_user_exists() -> None:
    script = ROOT / "infra" / "image" / "serve"
    assert os.access(script, os.X_OK)
    assert "useradd --system" in FINAL
    subprocess.run(["sh", "-n", script], check=True)
    assert shlex.split(script.read_text().splitlines()[-1]) == [
        *("exec", "python", "-m", "inference.serve")
    ]


# SageMaker's two words


@pytest.mark.process
def test_train_runs_the_entry_point_and_keeps_its_sentence(image: Image) -> None:
    base = image.root / "opt" / "ml"
    config = base / "input" / "config"
    config.mkdir(parents=True)
    hosts = {"current_host": "localhost", "hosts": ["localhost"], "network_interface_name": "lo"}
    for name, document in {
        "hyperparameters": {"task": "paint"},
        "inputdataconfig": {},
        "resourceconfig": hosts,
    }.items():
        (config / f"{name}.json").write_text(json.dumps(document))
    run = subprocess.run(
        [PYTHON.with_name("train")],
        env=environment(image, SAGEMAKER_BASE_DIR=str(base)),
        cwd=base,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode != 0
    failure = (base / "output" / "failure").read_text()
    assert failure.startswith("hyperparameter 'task' must be one of country.region, ")


@pytest.fixture(scope="module")
def server(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `serve` in multi-model mode, and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "serve.log").open("w")
    process = subprocess.Popen(
        [image.program("serve")],
        env=environment(image, SAGEMAKER_BIND_TO_PORT=str(port), SAGEMAKER_MULTI_MODEL="true"),
        cwd=image.root / "opt" / "ml",
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + WITHIN
        while True:
            try:
                urllib.request.urlopen(f"{address}/ping", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def post(url: str, document: Any) -> Any:
    request = urllib.request.Request(
        url, data=json.dumps(document).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.process
def test_serve_loads_the_prior_and_answers(server: str, tmp_path: Path) -> None:
    write_prior(tmp_path / "prior", system="country")
    pack(tmp_path / "prior", tmp_path / "bundle.tar.gz")
    unpack(tmp_path / "bundle.tar.gz", tmp_path / "models" / "model")
    post(f"{server}/models", {"model_name": "m", "url": str(tmp_path / "models" / "model")})
    answer = post(
        f"{server}/models/m/invoke", {"top_artists": [{"artist_name": "Björk", "playcount": 3}]}
    )
    assert answer["bundle_version"] == "prior"
    assert len(answer["countries"]) == 5
