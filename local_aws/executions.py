"""Executions of state machines: their state on disk, and back as records that nothing runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator


class FormerExecution(Execution):
    """An execution of an earlier start of the emulator: a record, nothing runs."""

    history: list[dict[str, Any]]

    def to_history_output(self) -> Any:
        """Return the events that were written."""
        return {"events": self.history}


def save() -> Iterator[dict[str, Any]]:
    """Return all executions with their events; one that runs is aborted by the end."""
    for machine in _machines():
        for execution in machine.executions:
            running = execution.status == "RUNNING"
            yield {
                "machine": machine.arn,
                "name": execution.name,
                "arn": execution.exec_arn,
                "input": execution.execution_input,
                "output": execution.output,
                "status": "ABORTED" if running else execution.status,
                "error": execution.error,
                "cause": execution.cause,
                "started": execution.start_date,
                "stopped": execution.stop_date or datetime.now(UTC),
                "history": [dict(event) for event in execution.to_history_output()["events"]],
            }


def restore(record: dict[str, Any]) -> None:
    """Bring an execution back if its state machine is there."""
    machine = next((one for one in _machines() if one.arn == record["machine"]), None)
    if machine is None:
        return
    execution = FormerExecution(
        name=record["name"],
        sm_type=machine.sm_type,
        role_arn=machine.roleArn,
        exec_arn=record["arn"],
        account_id=ACCOUNT,
        region_name=REGION,
        state_machine=machine,
        start_date=record["started"],
        cloud_watch_logging_session=None,
        activity_store={},
        input_data=record["input"],
    )
    execution.exec_status = ExecutionStatus(record["status"])
    execution.output = record["output"]
    execution.error, execution.cause = record["error"], record["cause"]
    execution.stop_date = record["stopped"]
    execution.history = record["history"]
    machine.executions.append(execution)


def _machines() -> list[Any]:
    return list(stepfunctions_parser_backends[ACCOUNT][REGION].state_machines)
