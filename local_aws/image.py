"""The container image without a container: the folders that the Dockerfile copies, staged.

Any image URI means this image. Its files lie below a root folder as they would in the image, its
programs run with the Python of the image's environment, and an ``ENV`` value that names a path of
the image is rewritten to where that path was staged.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from local_aws.errors import LocalAwsError

CONTINUATION = re.compile(r"\\\s*\n")
IMAGE_CODE = "/opt/ml/code"
"""Where SageMaker's convention has the training and inference scripts."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class Dockerfile:
    """What of a Dockerfile matters without an engine."""

    copies: tuple[tuple[str, str], ...]
    """Source in the project, destination in the image."""
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Dockerfile:
        """Read the COPY and ENV lines; copies from other stages are the Python environment's."""
        copies: list[tuple[str, str]] = []
        environment: dict[str, str] = {}
        folder = "/"
        for raw in CONTINUATION.sub(" ", text).splitlines():
            words = shlex.split(raw, comments=True)
            if not words:
                continue
            instruction, rest = words[0].upper(), words[1:]
            if instruction == "FROM":
                copies, environment, folder = [], {}, "/"
            elif instruction == "WORKDIR":
                folder = os.path.join(folder, rest[0])  # noqa: PTH118
            elif instruction == "COPY" and not any(w.startswith("--from=") for w in rest):
                names = [word for word in rest if not word.startswith("--")]
                target = os.path.join(folder, names[-1])  # noqa: PTH118
                copies += [(source, target) for source in names[:-1]]
            elif instruction == "ENV" and "=" in rest[0]:
                environment |= dict(word.split("=", 1) for word in rest)
            elif instruction == "ENV":
                environment[rest[0]] = " ".join(rest[1:])
        return cls(tuple(copies), environment)


@dataclass(frozen=True)
class Image:
    """A staged image."""

    root: Path
    """Folder that stands for ``/`` of the image."""
    python: Path
    """Python that stands for the image's."""
    environment: dict[str, str]
    """Its ENV lines, with paths below `root`."""

    @classmethod
    def stage(cls, *, project: Path, python: Path, into: Path) -> Image:
        """Copy what the project's Dockerfile copies.

        Raises
        ------
        LocalAwsError
            If there is no Dockerfile, or it copies something that does not exist.
        """
        path = project / "Dockerfile"
        if not path.is_file():
            raise LocalAwsError(f"{path} does not exist: the emulator stages the image from it")
        dockerfile = Dockerfile.parse(path.read_text(encoding="utf-8"))
        root = into / _fingerprint(project, path, dockerfile)
        if not root.exists():
            partial = into / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            for source, target in dockerfile.copies:
                _copy(project, source, partial, target)
            partial.rename(root)
        environment = {
            name: _rewrite(value, root)
            for name, value in dockerfile.environment.items()
            if name != "PATH"
        }
        return cls(root, python, environment)

    def program(self, name: str) -> Path:
        """Return the path of a program that the image puts on its PATH.

        Raises
        ------
        LocalAwsError
            If neither the staged folders nor the environment have it.
        """
        for folder in ("opt/ml/code", "usr/local/bin", "usr/bin", "opt/program"):
            if (self.root / folder / name).is_file():
                return self.root / folder / name
        if (self.python.parent / name).is_file():
            return self.python.parent / name
        raise LocalAwsError(
            f"the image has no program '{name}': the Dockerfile must copy it to /usr/local/bin, "
            f"or a package of the image's environment must install it"
        )

    @property
    def code(self) -> Path:
        """Folder of the scripts."""
        return self.root / IMAGE_CODE.lstrip("/")

    @property
    def path(self) -> str:
        """PATH of a process of the image."""
        folders = [self.python.parent, self.root / "usr/local/bin", Path("/usr/bin"), Path("/bin")]
        return os.pathsep.join(map(str, folders))


def _sources(project: Path, source: str) -> list[Path]:
    found = sorted(project.glob(source.strip("/"))) if source not in {".", "./"} else [project]
    if not found:
        raise LocalAwsError(f"the Dockerfile copies '{source}', which is not in {project}")
    return found


def _fingerprint(project: Path, path: Path, dockerfile: Dockerfile) -> str:
    """Return a name for what the image holds now, so that changed code makes a new one."""
    total = hashlib.sha256(path.read_bytes())
    for source, _ in dockerfile.copies:
        for found in _sources(project, source):
            for file in [found] if found.is_file() else sorted(found.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    status = file.stat()
                    total.update(f"{file}\0{status.st_mtime_ns}\0{status.st_size}\0".encode())
    return total.hexdigest()[:16]


def _copy(project: Path, source: str, root: Path, target: str) -> None:
    found = _sources(project, source)
    destination = root / target.lstrip("/")
    for path in found:
        if path.is_dir():
            shutil.copytree(path, destination, ignore=LEFT_OUT, dirs_exist_ok=True)
        elif target.endswith("/") or len(found) > 1 or destination.is_dir():
            destination.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, destination / path.name)
        else:
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, destination)


def _rewrite(value: str, root: Path) -> str:
    """Point the parts of a path-like value into the staged root where they exist there."""
    parts = value.split(os.pathsep)
    staged = [
        str(root / part.lstrip("/"))
        if part.startswith("/") and (root / part.lstrip("/")).exists()
        else part
        for part in parts
    ]
    return os.pathsep.join(staged)
