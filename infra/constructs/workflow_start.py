"""Starting a Glue workflow that may be running: a small state machine that waits for its end.

A workflow that runs once at a time drops the events that arrive meanwhile, and with them a batch.
Every system hears of every batch: one that lacks a table which the system needs starts nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.permissions import TRACING, acknowledge_wildcard, allow_key
from infra.constructs.service_call import list_running, service_call
from listening.resources import RAW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_stepfunctions_tasks as tasks

    from infra.base_stack import BaseStack
    from infra.settings import GlueSettings
    from listening.resources import SystemNames

_WAIT_SECONDS = 20
_MOST_WAITS = 1500
"""The history of an execution holds 25,000 events; a wait and what follows it are 14 of them."""


class WorkflowStart(Construct):
    """Start a run of a system's workflow, after the one that is under way if there is one.

    Of several executions that wait only the last one starts a run: it reads the last batch.

    Parameters
    ----------
    names
        The system's, of its workflow among others.
    settings
        Time and retries of a job of the workflow.
    jobs
        How many jobs the workflow runs, one after the other.
    needs
        By table that a batch must have: the names that it may have there.
    bucket
        Where batches lie.
    key
        Encrypts the log.
    """

    def __init__(  # noqa: PLR0913 - a construct
        self,
        scope: BaseStack,
        construct_id: str,
        *,
        names: SystemNames,
        settings: GlueSettings,
        jobs: int,
        needs: Mapping[str, Sequence[str]],
        bucket: s3.IBucket,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = scope
        self._names = names
        self._longest = jobs * settings.timeout_minutes * 60 * (1 + settings.max_retries)
        self._needs = needs
        self._bucket = bucket
        self._key = key
        self.role = self._build_role()
        self.state_machine = self._build_state_machine()
        acknowledge_wildcard(
            self.role, "*", because=f"{TRACING}; neither has the delivery of vended logs"
        )

    def _build_role(self) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        allow_key(role, self._key)
        return role

    def _build_state_machine(self) -> sfn.StateMachine:
        name = self._names.starter
        return sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=name,
            definition_body=sfn.DefinitionBody.from_chainable(self._build_definition()),
            role=self.role,
            tracing_enabled=True,
            logs=sfn.LogOptions(
                destination=self._stack.log_group(
                    "StarterLogs", name=f"/aws/vendedlogs/states/{name}", key=self._key
                ),
                level=sfn.LogLevel.ALL,
                include_execution_data=True,
            ),
        )

    def _build_definition(self) -> sfn.IChainable:
        start = self._build_start()
        wait = sfn.Wait(self, "WaitForRun", time=sfn.WaitTime.duration(self._wait()))
        last = "$.running.last[0]"
        judge = (
            sfn.Choice(self, "IsTheLast")
            .when(sfn.Condition.is_not_present(last), start)
            .when(sfn.Condition.string_equals_json_path(last, "$.execution"), start)
            .otherwise(sfn.Succeed(self, "LeftToTheLast"))
        )
        start.add_catch(
            wait, errors=["Glue.ConcurrentRunsExceededException"], result_path="$.error"
        )
        wait.next(self._build_list_running()).next(judge)
        begin = sfn.Pass(
            self, "Begin", parameters={"execution.$": "$$.Execution.Id", "event.$": "$"}
        )
        key = "$.event.detail.object.key"
        named = sfn.Pass(
            self,
            "NameBatch",
            parameters={
                "execution.$": "$.execution",
                "batch.$": f"States.ArrayGetItem(States.StringSplit({key}, '/'), 1)",
            },
        )
        named.next(self._build_looks(start))
        return begin.next(
            sfn.Choice(self, "IsABatch").when(sfn.Condition.is_present(key), named).otherwise(start)
        )

    def _build_looks(self, start: sfn.IChainable) -> sfn.IChainable:
        """Build the states that look for each needed table, the last one first."""
        there = start
        for table, places in reversed(list(self._needs.items())):
            missing: sfn.IChainable = sfn.Pass(
                self,
                f"Lacks-{table}",
                comment=f"A batch without {table} is of no use to this system",
                parameters={"batch.$": "$.batch", "lacks": table},
            )
            for place in places[::-1]:
                look = service_call(
                    self,
                    f"LookFor-{table}-{place}",
                    service="s3",
                    action="listObjectsV2",
                    parameters={
                        "Bucket": self._bucket.bucket_name,
                        "Prefix.$": f"States.Format('{RAW}{{}}/{place}', $.batch)",
                        "MaxKeys": 1,
                    },
                    iam_action="s3:ListBucket",
                    iam_resources=[self._bucket.bucket_arn],
                    result_selector={"found.$": "$.KeyCount"},
                    result_path="$.look",
                )
                look.next(
                    sfn.Choice(self, f"IsThere-{table}-{place}")
                    .when(sfn.Condition.number_greater_than("$.look.found", 0), there)
                    .otherwise(missing)
                )
                missing = look
            there = missing
        return there

    def _wait(self) -> cdk.Duration:
        """Return a wait of which the longest run of all jobs does not take too many."""
        return cdk.Duration.seconds(max(_WAIT_SECONDS, math.ceil(self._longest / _MOST_WAITS)))

    def _build_start(self) -> tasks.CallAwsService:
        return service_call(
            self,
            "StartRun",
            service="glue",
            action="startWorkflowRun",
            parameters={"Name": self._names.workflow},
            iam_resources=[
                self._stack.format_arn(
                    service="glue", resource="workflow", resource_name=self._names.workflow
                )
            ],
            result_path=sfn.JsonPath.DISCARD,
        )

    def _build_list_running(self) -> tasks.CallAwsService:
        return list_running(
            self,
            "ListRunning",
            arn=self._names.state_machine_arn(self._names.starter),
            most=1,
            result_selector={"last.$": "$.Executions[:1].ExecutionArn"},
            result_path="$.running",
        )
