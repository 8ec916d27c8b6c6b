"""Every role may do what its step needs, and nothing that no step needs.

The table below says what each step does. A need that is not granted fails; so does a statement
that could be removed without any need noticing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA = "arn:aws:s3:::listening-{env}-data-123456789012-{region}"
MODELS = "arn:aws:s3:::listening-{env}-models-123456789012-{region}"
ASSETS = "arn:aws:s3:::cdk-hnb659fds-assets-123456789012-{region}/"
IMAGES = (
    "arn:aws:ecr:{region}:123456789012:repository/"
    "cdk-hnb659fds-container-assets-123456789012-{region}"
)
KEY = "arn:aws:kms:{region}:123456789012:key/Key961B73FD"
CHAMPION = "arn:aws:ssm:{region}:123456789012:parameter/listening/{env}/{system}/champion"
LOGS = "arn:aws:logs:{region}:123456789012:log-group:"


@dataclass(frozen=True)
class Need:
    """An action on a resource, with what IAM's conditions look at."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def listing(bucket: str, *prefixes: str) -> list[Need]:
    return [Need("s3:ListBucket", bucket, {"s3:prefix": prefix}) for prefix in prefixes]


def objects(action: str, bucket: str, *keys: str) -> list[Need]:
    return [Need(f"s3:{action}", f"{bucket}/{key}") for key in keys]


def crypto(*actions: str) -> list[Need]:
    return [Need(f"kms:{action}", KEY) for action in ("Decrypt", "GenerateDataKey", *actions)]


def glue_job(script: str, reads: list[str], writes: list[str]) -> list[Need]:
    """Return what Glue itself does for a job, and the job's own reads and writes."""
    written = [*writes, "temporary/x", "spark-ui/x"]
    return [
        Need("s3:GetObject", f"{ASSETS}<script {script}>"),
        Need("s3:GetObject", f"{ASSETS}<packages>"),
        *objects("GetObject", DATA, "packages/ftfy-6.3.1-py3-none-any.whl", *reads, *written),
        *objects("PutObject", DATA, *written),
        *objects("DeleteObject", DATA, *written),
        *listing(DATA, "packages/", *reads, *written),
        # Spark asks for the folder that a path names before it lists it, and for those above it.
        *(need for key in reads for need in objects("GetObject", DATA, key.rsplit("/", 2)[0])),
        *objects("GetObject", DATA, "{system}"),
        *objects("GetObject", DATA, "{system}/", "{system}_$folder$"),
        *objects("PutObject", DATA, "{system}/", "{system}_$folder$"),
        *listing(DATA, "{system}", "{system}/"),
        *crypto(),
        *(
            Need(f"logs:{action}", LOGS + "/aws-glue/jobs/output")
            for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents", "AssociateKmsKey")
        ),
        Need("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Glue"}),
        Need("glue:GetSecurityConfiguration", "*"),
    ]


def function(name: str) -> list[Need]:
    """Return what Lambda itself does for a function."""
    return [
        Need("logs:CreateLogStream", LOGS + f"/aws/lambda/listening-{{env}}-{name}:stream"),
        Need("logs:PutLogEvents", LOGS + f"/aws/lambda/listening-{{env}}-{name}:stream"),
        Need("xray:PutTraceSegments", "*"),
        Need("xray:PutTelemetryRecords", "*"),
    ]


def sagemaker(log_group: str, *, in_vpc: bool) -> list[Need]:
    """Return what SageMaker itself does for a job or an endpoint."""
    network = [
        *(
            Need(f"ec2:{action}", "arn:aws:ec2:{region}:123456789012:network-interface/x")
            for action in (
                "CreateNetworkInterface",
                "CreateNetworkInterfacePermission",
                "DeleteNetworkInterface",
                "DeleteNetworkInterfacePermission",
            )
        ),
        *(
            Need("ec2:CreateNetworkInterface", f"arn:aws:ec2:{{region}}:123456789012:{place}")
            for place in ("subnet/<first>", "subnet/<second>", "security-group/<jobs>")
        ),
        *(
            Need(f"ec2:Describe{what}", "*")
            for what in ("NetworkInterfaces", "Vpcs", "DhcpOptions", "Subnets", "SecurityGroups")
        ),
    ]
    return [
        Need("ecr:GetAuthorizationToken", "*"),
        *(
            Need(f"ecr:{action}", IMAGES)
            for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
        ),
        *crypto("Encrypt", "DescribeKey"),
        Need("kms:CreateGrant", KEY, {"kms:GrantIsForAWSResource": "true"}),
        *(
            Need(f"logs:{action}", LOGS + f"/aws/sagemaker/{log_group}")
            for action in (
                "CreateLogGroup",
                "CreateLogStream",
                "DescribeLogStreams",
                "PutLogEvents",
            )
        ),
        Need("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "/aws/sagemaker/Jobs"}),
        *(network if in_vpc else []),
    ]


def training(*, in_vpc: bool) -> list[Need]:
    """Return what every training job does."""
    return [
        *sagemaker("TrainingJobs", in_vpc=in_vpc),
        *objects("GetObject", DATA, "{system}/{features}/run/manifest.json"),
        *listing(DATA, "{system}/{features}/run/listeners/split=train/"),
        *objects("PutObject", MODELS, "training/{system}/run/job/output/model.tar.gz"),
        *listing(MODELS, "training/{system}/run/"),
    ]


STATE_MACHINE_LOGS = [
    *(
        Need(f"logs:{action}", "*")
        for action in (
            "CreateLogDelivery",
            "GetLogDelivery",
            "UpdateLogDelivery",
            "DeleteLogDelivery",
            "ListLogDeliveries",
            "PutResourcePolicy",
            "DescribeResourcePolicies",
            "DescribeLogGroups",
        )
    ),
    *(
        Need(f"xray:{action}", "*")
        for action in (
            "PutTraceSegments",
            "PutTelemetryRecords",
            "GetSamplingRules",
            "GetSamplingTargets",
        )
    ),
]
"""What Step Functions itself does for a machine that logs and traces."""

STATE_MACHINE = [
    Need(
        "states:ListExecutions",
        "arn:aws:states:{region}:123456789012:stateMachine:listening-{env}-{system}-training",
    ),
    *listing(MODELS, "endpoint/{system}/version/bundle.tar.gz"),
    *objects("GetObject", DATA, "{system}/{features}/run/manifest.json"),
    Need("ssm:GetParameter", CHAMPION),
    *(
        Need(f"sagemaker:{action}", "arn:aws:sagemaker:{region}:123456789012:training-job/region-1")
        for action in ("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags")
    ),
    *(
        Need(
            f"events:{action}",
            "arn:aws:events:{region}:123456789012:rule/"
            "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
        )
        for action in ("PutTargets", "PutRule", "DescribeRule")
    ),
    *(
        Need(
            "iam:PassRole",
            f"arn:aws:iam::123456789012:role/{role}",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
        )
        for role in ("<TrainRole>", "<AssembleRole>")
    ),
    Need(
        "lambda:InvokeFunction",
        "arn:aws:lambda:{region}:123456789012:function:listening-{env}-{system}-evaluation",
    ),
    Need(
        "sagemaker:CreateModelPackage",
        "arn:aws:sagemaker:{region}:123456789012:model-package-group/listening-{env}-{system}-bundles",
    ),
    Need(
        "sagemaker:CreateModelPackage",
        "arn:aws:sagemaker:{region}:123456789012:model-package/listening-{env}-{system}-bundles/1",
    ),
    Need(
        "sagemaker:UpdateModelPackage",
        "arn:aws:sagemaker:{region}:123456789012:model-package/listening-{env}-{system}-bundles/1",
    ),
    *(Need(f"ecr:{action}", IMAGES) for action in ("BatchGetImage", "DescribeImages")),
    *objects("GetObject", MODELS, "training/{system}/run/job/output/model.tar.gz"),
    *objects("PutObject", MODELS, "endpoint/{system}/version/bundle.tar.gz"),
    *crypto(),
    Need("ssm:PutParameter", CHAMPION),
    Need("sns:Publish", "arn:aws:sns:{region}:123456789012:listening-{env}-notices"),
    *STATE_MACHINE_LOGS,
]


JOBS = {
    "country": {
        "Embeddings": (
            ["raw/batch/users.csv"],
            ["country/embeddings/run/x", "country/embeddings_$folder$"],
        ),
        "Features": (
            ["country/embeddings/run/x"],
            ["country/features/run/x", "country/features_$folder$"],
        ),
    },
    "sessions": {
        "Sessions": (
            ["raw/batch/plays/part.parquet"],
            ["sessions/sessions/run/x", "sessions/sessions_$folder$"],
        ),
        "Session_features": (
            ["sessions/sessions/run/x"],
            ["sessions/session_features/run/x", "sessions/session_features_$folder$"],
        ),
    },
    "churn": {
        "Activity": (
            ["raw/batch/plays/part.parquet"],
            ["churn/activity/run/x", "churn/activity_$folder$"],
        ),
        "Snapshots": (
            ["churn/activity/run/x"],
            ["churn/snapshots/run/x", "churn/snapshots_$folder$"],
        ),
    },
    "charts": {
        "Charts": (
            ["raw/batch/plays/part.parquet"],
            ["charts/charts/run/x", "charts/charts_$folder$"],
        ),
    },
}
"""Of each system's workflow: what its jobs read and write."""


def of_system(system: str, *, in_vpc: bool, captures: bool) -> dict[str, list[Need]]:
    """Return what every role of a system needs, by concern and the start of its logical id."""
    jobs = {job.name for job in SYSTEMS[system].jobs}
    table = {
        **{
            f"{system}-features/{job.replace('_', '')}Role": glue_job(job, reads, writes)
            for job, (reads, writes) in JOBS[system].items()
        },
        f"{system}-features/StartRole": [
            Need("states:StartExecution", "<{system}-features.StateMachine>")
        ],
        f"{system}-features/WorkflowStartRole": [
            Need(
                "glue:startWorkflowRun",
                "arn:aws:glue:{region}:123456789012:workflow/listening-{env}-{system}-workflow",
            ),
            Need(
                "states:ListExecutions",
                "arn:aws:states:{region}:123456789012:stateMachine:listening-{env}-{system}-start",
            ),
            *listing(DATA, "raw/batch/plays"),
            *crypto(),
            *STATE_MACHINE_LOGS,
        ],
        f"{system}-training/AssembleRole": [
            *training(in_vpc=in_vpc),
            *objects("GetObject", MODELS, "training/{system}/run/job/output/model.tar.gz"),
            *objects("GetObject", MODELS, "endpoint/{system}/version/bundle.tar.gz"),
            *listing(MODELS, "endpoint/{system}/version/bundle.tar.gz"),
        ],
        f"{system}-training/EvaluationRole": [
            *function("{system}-evaluation"),
            *objects("GetObject", MODELS, "training/{system}/run/job/output/output.tar.gz"),
            *objects("GetObject", DATA, "{system}/{features}/run/manifest.json"),
            *objects(
                *("PutObject", MODELS, "reports/{system}/v/report.html"),
                "evaluations/{system}/v.json",
            ),
            *crypto(),
        ],
        f"{system}-training/Role": [
            need
            for need in STATE_MACHINE
            if SYSTEMS[system].train or "<TrainRole>" not in need.resource
        ],
        f"{system}-training/StateMachineEventsRole": [
            Need("states:StartExecution", "<{system}-training.StateMachine>")
        ],
    }
    if SYSTEMS[system].train:
        table[f"{system}-training/TrainRole"] = training(in_vpc=in_vpc)
    if "scoring" in jobs:
        table[f"{system}-features/ScoringRole"] = [
            *glue_job("Scoring", ["raw/batch/users.csv"], ["{system}/scoring/run/x"]),
            *objects("GetObject", MODELS, "endpoint/{system}/version/bundle.tar.gz"),
            *listing(MODELS, "endpoint/{system}/version/bundle.tar.gz"),
            Need("ssm:GetParameter", CHAMPION),
        ]
    if captures and "drift" in jobs:
        table[f"{system}-features/DriftRole"] = [
            *glue_job("Drift", [], ["{system}/drift/run/x"]),
            *objects(
                *("GetObject", MODELS, "captures/e/v/2026/x.jsonl"),
                "reports/{system}/v/evaluation.json",
            ),
            *listing(MODELS, "captures/e/v/2026/"),
            *listing(MODELS, "reports/{system}/v/evaluation.json"),
            Need("ssm:GetParameter", CHAMPION),
            Need("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Listening"}),
        ]
    return {role: [of(system, need) for need in own] for role, own in table.items()}


def of(system: str, need: Need) -> Need:
    """Fill in a system's names."""
    resource, context = need.resource, need.context
    for mark, name in (("{system}", system), ("{features}", SYSTEMS[system].features.name)):
        resource = resource.replace(mark, name)
        context = {key: value.replace(mark, name) for key, value in context.items()}
    return Need(need.action, resource, context)


def needs(*, in_vpc: bool, captures: bool) -> dict[str, list[Need]]:
    """Return what every role needs, by concern and the start of its logical id."""
    table = {
        role: own
        for system in SYSTEMS
        for role, own in of_system(system, in_vpc=in_vpc, captures=captures).items()
    }
    champions = [of(system, Need("ssm:GetParameter", CHAMPION)) for system in SYSTEMS]
    table |= {
        "data/WheelsCopierRole": [
            *function("place-wheels"),
            Need("s3:GetObject", f"{ASSETS}<wheel>"),
            *objects("PutObject", DATA, "packages/ftfy-6.3.1-py3-none-any.whl"),
            *crypto(),
        ],
        "serving/PriorCopierRole": [
            *function("place-prior"),
            *(Need("s3:GetObject", f"{ASSETS}<prior {n}>") for n in range(len(SYSTEMS))),
            *objects("PutObject", MODELS, *(f"endpoint/{s}/prior/bundle.tar.gz" for s in SYSTEMS)),
            *crypto(),
        ],
        "serving/Role": [
            *sagemaker("Endpoints/listening-{env}-endpoint", in_vpc=in_vpc),
            *objects("GetObject", MODELS, "endpoint/country/version/bundle.tar.gz"),
            *listing(MODELS, "endpoint/"),
            *(objects("PutObject", MODELS, "captures/x") if captures else []),
            *(listing(MODELS, "captures/x") if captures else []),
            Need(
                "cloudwatch:DescribeAlarms",
                "arn:aws:cloudwatch:{region}:123456789012:alarm:listening-{env}-endpoint-5xx",
            ),
        ],
        "api/ApiRole": [
            *function("api"),
            Need(
                "sagemaker:InvokeEndpoint",
                "arn:aws:sagemaker:{region}:123456789012:endpoint/listening-{env}-endpoint",
            ),
            *champions,
        ],
        "monitoring/NoticeRole": [
            Need("sns:Publish", "arn:aws:sns:{region}:123456789012:listening-{env}-notices"),
            *crypto(),
        ],
    }
    if in_vpc:
        table["network/FlowRole"] = [
            Need(f"logs:{action}", LOGS + "/listening/{env}/flow:stream")
            for action in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents")
        ]
    return table


CASES = {
    "dev": needs(in_vpc=False, captures=False),
    "prod": needs(in_vpc=True, captures=True),
}


@dataclass(frozen=True)
class Grant:
    """One action on one resource of a statement: the least that could be taken away."""

    action: str
    resource: str
    condition: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def covers(self, need: Need) -> bool:
        return (
            fnmatchcase(need.action.lower(), self.action.lower())
            and fnmatchcase(need.resource, self.resource)
            and all(
                any(fnmatchcase(need.context.get(key, ""), pattern) for pattern in patterns)
                for key, patterns in self.condition
            )
        )


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def grants(environment: Any, role: str) -> list[Grant]:
    """Return what a role is granted, taken apart as far as possible."""
    concern, prefix = role.split("/")
    found = []
    for policy in environment.resources("AWS::IAM::Policy").items():
        place, properties = policy
        (attached,) = [r["Ref"] for r in properties["Roles"]]
        if place.split("/")[0] != concern or attached[:-8] != prefix:
            continue
        for statement in properties["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            condition = tuple(
                (key, tuple(as_list(patterns)))
                for test in statement.get("Condition", {}).values()
                for key, patterns in test.items()
            )
            found += [
                Grant(action, environment.text(resource, concern), condition)
                for action in as_list(statement["Action"])
                for resource in as_list(statement["Resource"])
            ]
    return found


def resolve(need: Need, environment: Any, granted: Iterable[Grant]) -> Need:
    """Fill in a need's names; assets and generated names stand for those that are granted."""
    resource = need.resource.replace("{env}", environment.name)
    resource = resource.replace("{region}", environment.region)
    generated = {
        "<packages>": r".zip",
        "<wheel>": ".whl",
        "<script": ".py",
        "<first>": "isolatedSubnet1",
        "<second>": "isolatedSubnet2",
        "<jobs>": ":security-group/",
        "<TrainRole>": "role/TrainRole",
        "<AssembleRole>": "role/AssembleRole",
        **{f"<{s}-training.StateMachine>": f"<{s}-training.StateMachine" for s in SYSTEMS},
        **{
            f"<{s}-features.StateMachine>": f"<{s}-features.WorkflowStartStateMachine"
            for s in SYSTEMS
        },
    }
    priors = [g.resource for g in granted if ".gz" in g.resource and "assets" in g.resource]
    for number, prior in enumerate(priors):
        resource = prior if f"<prior {number}>" in resource else resource
    for mark, part in generated.items():
        if mark in resource:
            resource = next((g.resource for g in granted if part in g.resource), resource)
    return Need(need.action, resource, need.context)


@pytest.mark.parametrize(
    ("name", "role"), [(name, role) for name, table in CASES.items() for role in table]
)
def test_a_role_may_do_what_its_step_needs_and_no_more(
    environment: Any, name: str, role: str
) -> None:
    synthesised = environment(name)
    granted = grants(synthesised, role)
    wanted = [resolve(need, synthesised, granted) for need in CASES[name][role]]
    for need in wanted:
        assert any(grant.covers(need) for grant in granted), f"{role} lacks {need}"
    for grant in granted:
        if grant.resource.endswith("-evaluation:*"):
            continue  # versions of the function, which CDK adds
        others = [other for other in granted if other is not grant]
        assert any(not any(other.covers(need) for other in others) for need in wanted), (
            f"no step of {role} needs {grant}"
        )


def test_every_role_is_in_the_table(environment: Any) -> None:
    for name, table in CASES.items():
        roles = {
            f"{place.split('/')[0]}/{place.split('/')[1][:-8]}"
            for place in environment(name).resources("AWS::IAM::Role")
        }
        assert roles == set(table)


def test_no_role_has_a_policy_that_aws_manages(prod: Any) -> None:
    for role in prod.resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role


UNLIMITED = {
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "glue:GetSecurityConfiguration",
}
"""Actions beside X-Ray's, EC2's Describe and log delivery that IAM cannot limit to a resource."""


@pytest.mark.parametrize("name", ["local", "dev", "staging", "prod"])
def test_a_star_stands_only_where_no_resource_can_be_named(environment: Any, name: str) -> None:
    for policy in environment(name).resources("AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in as_list(statement["Action"]):
                assert "*" not in action
                if "*" in as_list(statement["Resource"]):
                    assert (
                        action in UNLIMITED
                        or action.startswith(("xray:", "ec2:Describe"))
                        or (action.startswith("logs:") and "PutLogEvents" not in action)
                    ), action


def test_roles_are_passed_to_sagemaker_only(prod: Any) -> None:
    statements = [
        statement
        for policy in prod.resources("AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "iam:PassRole" in as_list(statement["Action"])
    ]
    assert [s["Condition"] for s in statements] == [
        {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    ] * len(SYSTEMS)
