"""What tells whether all of it works: dashboard, alarms, notices of failed jobs, budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam

from infra.base_stack import BaseStack
from infra.constructs.permissions import allow, allow_key
from infra.serving_stack import VARIANT
from listening.resources import COST_TAG, NAMESPACE
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from infra.data_stack import DataStack
    from infra.settings import Settings
    from listening.systems import System

    _Watched = tuple[str, cloudwatch.IMetric, float, str]
    """Name, metric, threshold and reason of an alarm."""

BUDGET_SHARE = 80
"""Percent of the month's budget at which a notice is sent."""


class MonitoringStack(BaseStack):
    """One dashboard over the whole way, alarms and failures to the topic, a monthly budget.

    Parameters
    ----------
    data
        The topic.
    api_id
        Of the HTTP API.
    """

    def __init__(
        self, scope: Construct, *, settings: Settings, data: DataStack, api_id: str
    ) -> None:
        super().__init__(scope, "monitoring", settings=settings)
        self._data = data
        self._api_id = api_id
        self.dashboard = self._build_dashboard()
        self._build_alarms()
        self._build_job_failures()
        self._build_budget()

    def _build_dashboard(self) -> cloudwatch.Dashboard:
        dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=self.names.prefix,
            default_interval=cdk.Duration.days(7),
        )
        dashboard.add_widgets(
            self._graph(
                "Glue: run time (s)", self._job_metrics("glue.driver.aggregate.elapsedTime")
            ),
            self._graph(
                "Glue: failed tasks", self._job_metrics("glue.driver.aggregate.numFailedTasks")
            ),
        )
        for system in self._systems:
            dashboard.add_widgets(*self._system_row(system))
        dashboard.add_widgets(
            self._graph("Invocations", self._endpoint("Invocations")),
            self._graph(
                "Model latency (µs)",
                [
                    *self._endpoint("ModelLatency", statistic="p50"),
                    *self._endpoint("ModelLatency", statistic="p99"),
                ],
            ),
            self._graph(
                "Endpoint errors", self._endpoint("Invocation4XXErrors", "Invocation5XXErrors")
            ),
        )
        dashboard.add_widgets(
            self._graph("Loaded models", self._endpoint("LoadedModelCount", statistic="max")),
            self._graph("Cache hits (share)", self._endpoint("ModelCacheHit", statistic="avg")),
            self._graph(
                "Instances (%)",
                self._instances("CPUUtilization", "MemoryUtilization", "DiskUtilization"),
            ),
        )
        dashboard.add_widgets(
            self._graph("API requests", self._api("Count", "4xx", "5xx")),
            self._graph("API latency (ms)", self._api("Latency", statistic="p99")),
            self._graph("API answers and errors", self._answers()),
        )
        return dashboard

    def _system_row(self, system: System) -> list[cloudwatch.GraphWidget]:
        """Return what is shown of one system."""
        name = system.name
        row = [
            self._graph(
                f"{name}: executions",
                self._executions(system, "ExecutionsSucceeded", "ExecutionsFailed"),
            ),
            self._graph(
                f"{name}: execution time (ms)",
                self._executions(system, "ExecutionTime", statistic="p90"),
            ),
            self._graph(
                f"{name}: rows kept and dropped", self._own(system, "rows_kept", "rows_dropped")
            ),
            self._graph(
                f"{name}: bundles on test",
                self._own(system, *(metric.name for metric in system.gate.metrics)),
            ),
        ]
        if self.settings.deployed[name].drift:
            measures = (f"drift_{measure}" for measure in system.drift)
            row.append(self._graph(f"{name}: drift of answers", self._own(system, *measures)))
        return row

    def _build_alarms(self) -> None:
        minutes = cdk.Duration.minutes(5)
        [broken] = self._api("5xx", period=minutes)
        [disk] = self._instances("DiskUtilization", period=minutes, statistic="max")
        alarms: list[_Watched] = [
            ("api-5xx", broken, 5, "the API answers with errors"),
            ("endpoint-disk", disk, 80, "bundles fill the endpoint's disk (%)"),
        ]
        for system in self._systems:
            alarms += self._system_alarms(system)
        for name, metric, threshold, why in alarms:
            alarm = cloudwatch.Alarm(
                self,
                name,
                alarm_name=f"{self.names.prefix}-{name}",
                alarm_description=f"{self.names.prefix}: {why}",
                metric=metric,
                threshold=threshold,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            alarm.add_alarm_action(actions.SnsAction(self._data.notices))

    def _system_alarms(self, system: System) -> list[_Watched]:
        minutes, name = cdk.Duration.minutes(5), system.name
        names = self.names.of(name)
        [failed] = self._executions(system, "ExecutionsFailed", period=minutes)
        [unstarted] = _metrics(
            "AWS/States",
            ("ExecutionsFailed",),
            {"StateMachineArn": names.state_machine_arn(names.starter)},
            {"period": minutes},
        )
        alarms: list[_Watched] = [
            (f"{name}-training-failed", failed, 0, f"an execution of {name}'s training failed"),
            (
                f"{name}-not-started",
                unstarted,
                0,
                f"raw data arrived and no run of {name}'s workflow started",
            ),
        ]
        if self.settings.deployed[name].drift:
            [drifted] = self._own(
                system, "drift_breaches", period=cdk.Duration.hours(1), statistic="max"
            )
            short = names.drift_alarm.removeprefix(f"{self.names.prefix}-")
            alarms.append((short, drifted, 0, "listeners differ from those trained on"))
        return alarms

    def _build_job_failures(self) -> None:
        topic = self._data.notices.topic_arn
        role = iam.Role(self, "NoticeRole", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        allow(role, ["sns:Publish"], [topic])
        allow_key(role, self._data.key)
        jobs = self._jobs
        events.CfnRule(
            self,
            "JobFailed",
            name=f"{self.names.prefix}-job-failed",
            description="A Glue job failed: tell the topic why",
            event_pattern={
                "source": ["aws.glue"],
                "detail-type": ["Glue Job State Change"],
                "detail": {"jobName": jobs, "state": ["FAILED", "TIMEOUT"]},
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="notices",
                    arn=topic,
                    role_arn=role.role_arn,
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={
                            name: f"$.detail.{name}" for name in ("jobName", "jobRunId", "message")
                        },
                        input_template='"<jobName> (<jobRunId>): <message>"',
                    ),
                )
            ],
        )

    def _build_budget(self) -> None:
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=self.names.prefix,
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(
                    amount=self.settings.budget_usd, unit="USD"
                ),
                cost_filters={"TagKeyValue": [f"user:{COST_TAG}${self.names.prefix}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type="ACTUAL",
                        threshold=BUDGET_SHARE,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[
                        budgets.CfnBudget.SubscriberProperty(
                            subscription_type="SNS", address=self._data.notices.topic_arn
                        )
                    ],
                )
            ],
        )

    def _graph(self, title: str, metrics: list[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
        return cloudwatch.GraphWidget(title=title, left=metrics, width=8)

    @property
    def _systems(self) -> list[System]:
        return [SYSTEMS[name] for name in self.settings.deployed]

    @property
    def _jobs(self) -> list[str]:
        return [
            self.names.of(system.name).job(job.name)
            for system in self._systems
            for job in system.jobs
            if job.starts != "schedule" or self.settings.deployed[system.name].drift
        ]

    def _job_metrics(self, name: str) -> list[cloudwatch.IMetric]:
        return [
            cloudwatch.Metric(
                namespace="Glue",
                metric_name=name,
                dimensions_map={"JobName": job, "JobRunId": "ALL", "Type": "count"},
                statistic="max",
                label=job,
            )
            for job in self._jobs
        ]

    def _executions(self, system: System, *names: str, **options: Any) -> list[cloudwatch.IMetric]:
        own = self.names.of(system.name)
        dimensions = {"StateMachineArn": own.state_machine_arn(own.state_machine)}
        return _metrics("AWS/States", names, dimensions, options)

    def _endpoint(self, *names: str, **options: Any) -> list[cloudwatch.IMetric]:
        dimensions = {"EndpointName": self.names.endpoint, "VariantName": VARIANT}
        return _metrics("AWS/SageMaker", names, dimensions, options)

    def _instances(self, *names: str, **options: Any) -> list[cloudwatch.IMetric]:
        dimensions = {"EndpointName": self.names.endpoint, "VariantName": VARIANT}
        return _metrics(
            "/aws/sagemaker/Endpoints", names, dimensions, {"statistic": "avg"} | options
        )

    def _api(self, *names: str, **options: Any) -> list[cloudwatch.IMetric]:
        return _metrics("AWS/ApiGateway", names, {"ApiId": self._api_id}, options)

    def _answers(self) -> list[cloudwatch.IMetric]:
        names = ("answers", "input_errors", "model_errors")
        return _metrics(NAMESPACE, names, {"service": "listening-api"}, {})

    def _own(self, system: System, *names: str, **options: Any) -> list[cloudwatch.IMetric]:
        dimensions = {"environment": self.settings.environment, "system": system.name}
        return _metrics(NAMESPACE, names, dimensions, {"statistic": "avg"} | options)


def _metrics(
    namespace: str, names: Sequence[str], dimensions: dict[str, str], options: dict[str, Any]
) -> list[cloudwatch.IMetric]:
    return [
        cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            dimensions_map=dimensions,
            **({"statistic": "sum"} | options),
        )
        for name in names
    ]
