"""Set up everything that the project needs on a machine with Python 3.11 and nothing else.

Three environments from three locks (tools and tests; the training and serving image's; the Glue
jobs'), the CDK command line from its npm lock, LightGBM's OpenMP library, and a C compiler where
there is none. Java and Node come from the Python registry. What a lock already set up is left
alone.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MAIN = ROOT / ".venv"
ENVIRONMENTS = {
    MAIN: ("requirements.txt", "requirements/tools.txt"),
    ROOT / ".venvs" / "image": ("requirements/image.txt",),
    ROOT / ".venvs" / "glue": ("requirements/glue-env.txt",),
}
STARTED = time.monotonic()


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def say(message: str) -> None:
    """Print one line of progress with the seconds since the start."""
    print(f"[set-up {time.monotonic() - STARTED:5.1f} s] {message}", flush=True)


def run(*command: str | Path, cwd: Path = ROOT, environment: dict[str, str] | None = None) -> None:
    """Run a command; show what it printed only where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")


def up_to_date(stamp: Path, sources: tuple[str, ...]) -> str | None:
    """Return the digest to write into `stamp`, or None where it already stands there."""
    digest = hashlib.sha256(sys.version.encode())
    for source in sources:
        digest.update((ROOT / source).read_bytes())
    current = digest.hexdigest()
    return None if stamp.is_file() and stamp.read_text() == current else current


def locked_version(package: str) -> str:
    """Return the version of a package in the main lock."""
    found = re.search(rf"^{package}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    if not found:
        raise SetupError(f"requirements.txt does not pin {package}: run 'make lock'")
    return found.group(1)


def set_up_environment(folder: Path, locks: tuple[str, ...]) -> None:
    """Make one virtual environment hold exactly what its locks say."""
    stamp = folder / ".lock-digest"
    package = ("pyproject.toml",) if folder == MAIN else ()
    digest = up_to_date(stamp, (*locks, *package))
    if digest is None:
        return
    say(f"{folder.relative_to(ROOT)}: installing {' and '.join(locks)}")
    if not (folder / "bin" / "python").exists():
        run(sys.executable, "-m", "venv", folder)
    uv = MAIN / "bin" / "uv"
    if not uv.exists():
        run(MAIN / "bin" / "python", "-m", "pip", "install", "-q", f"uv=={locked_version('uv')}")
    # Compiled here once: where Python is told to write no bytecode, each process would do it anew.
    run(
        *(uv, "pip", "sync", "-q", "--compile-bytecode"),
        *("--python", folder / "bin" / "python", *locks),
    )
    if folder == MAIN:
        run(
            uv, "pip", "install", "-q", "--python", folder / "bin" / "python",
            "--no-deps", "--no-build-isolation", "--editable", ROOT,
        )  # fmt: skip
    stamp.write_text(digest)


def set_up_cdk() -> None:
    """Install the CDK command line from its npm lock with the Node of the main environment."""
    stamp = ROOT / "node_modules" / ".lock-digest"
    digest = up_to_date(stamp, ("package-lock.json",))
    if digest is None:
        return
    say("node_modules: installing the CDK command line")
    path = f"{MAIN / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    run(MAIN / "bin" / "npm", "ci", "--no-audit", "--no-fund", environment={"PATH": path})
    stamp.write_text(digest)


def missing_system_packages() -> dict[str, str]:
    """Return what no Python package brings and this machine lacks: Debian's package and why."""
    missing = {}
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        missing["libgomp1"] = "LightGBM runs on it"
    if not (ROOT / ".venvs" / "image" / ".lock-digest").exists():
        why = "sagemaker-training comes as source, with a file in C"
        compiler = str(sysconfig.get_config_var("CC")).split()[0]
        if not shutil.which(compiler):
            missing |= {"gcc": why, "libc6-dev": why}
        if not Path(sysconfig.get_path("include"), "Python.h").is_file():
            missing["python3.11-dev"] = why
    return missing


def set_up_system_packages() -> None:
    """Install what is missing of the system where this may, else say the command."""
    missing = missing_system_packages()
    if not missing:
        return
    command = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    if not shutil.which("apt-get") or os.geteuid() != 0:
        reasons = "; ".join(f"{package}: {why}" for package, why in missing.items())
        raise SetupError(f"this machine lacks {reasons}. Run 'sudo {command}'")
    say(f"{' '.join(missing)}: installing")
    run("apt-get", "update", "-q")
    run(*command.split())


def main() -> int:
    """Set everything up and say where it is."""
    if sys.version_info[:2] != (3, 11):
        print(f"Python 3.11 is needed, this is {sys.version.split()[0]}: make PYTHON=python3.11 …")
        return 1
    try:
        with tempfile.TemporaryDirectory() as scratch:
            os.environ["TMPDIR"] = scratch  # what uv and npm leave there goes with it
            set_up()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    say("ready")
    return 0


def set_up() -> None:
    """Set everything up."""
    if sys.platform == "linux":
        set_up_system_packages()
    for folder, locks in ENVIRONMENTS.items():
        set_up_environment(folder, locks)
    set_up_cdk()


if __name__ == "__main__":
    sys.exit(main())
