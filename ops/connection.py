"""A connection to one environment's AWS resources, on AWS or on the emulator.

Which of the two it is, is decided here and nowhere else: without a profile named by the caller
nothing ever talks to AWS.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import boto3.exceptions
import botocore.exceptions
from botocore.config import Config

from listening.errors import ResourceError
from listening.resources import ResourceNames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

LOCAL_ENVIRONMENT = "local"
LOCAL_REGION = "us-east-1"
LOCAL_CREDENTIAL = "testing"
"""Access key and secret key that the emulator is called with; it checks neither."""

INVOKE_TIMEOUT = 70  # seconds: SageMaker itself gives up after 60
CONNECT_TIMEOUT = 10  # seconds

_MISSING_CODES = frozenset(
    {
        "EntityNotFoundException",
        "ExecutionDoesNotExist",
        "NoSuchBucket",
        "NoSuchKey",
        "ParameterNotFound",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
        "404",
    }
)

_WRONG_CLOCK = ("RequestTimeTooSkewed", "Signature expired:", "Signature not yet current:")
"""How S3 and other services say that a request's time is more than 15 minutes off theirs."""


@dataclass(frozen=True)
class Connection:
    """Clients of one environment's resources, and their names.

    Parameters
    ----------
    session
        Whose credentials and region are used.
    environment
        The ``-c env=`` that was deployed.
    endpoint_url
        The emulator's address; None for AWS.
    """

    session: boto3.Session
    environment: str
    endpoint_url: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether this is the emulator."""
        return self.endpoint_url is not None

    @cached_property
    def region(self) -> str:
        """The session's region.

        Raises
        ------
        ResourceError
            None is configured.
        """
        if self.session.region_name is None:
            raise ResourceError(
                f"profile '{self.session.profile_name}' has no region: "
                "set AWS_REGION or `aws configure set region …`"
            )
        return self.session.region_name

    @cached_property
    def names(self) -> ResourceNames:
        """The names of the environment's resources in the account of the credentials."""
        with explained("finding out the account"):
            account = self.session.client(
                "sts", endpoint_url=self.endpoint_url, region_name=self.region
            ).get_caller_identity()["Account"]
        return ResourceNames(self.environment, account, self.region)

    @cached_property
    def s3(self) -> S3Client:
        """S3."""
        return self.client("s3")  # type: ignore[no-any-return]

    @cached_property
    def ssm(self) -> SSMClient:
        """Systems Manager's parameters."""
        return self.client("ssm")  # type: ignore[no-any-return]

    @cached_property
    def glue(self) -> GlueClient:
        """Glue."""
        return self.client("glue")  # type: ignore[no-any-return]

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        """SageMaker's control plane."""
        return self.client("sagemaker")  # type: ignore[no-any-return]

    @cached_property
    def sagemaker_runtime(self) -> SageMakerRuntimeClient:
        """SageMaker's endpoints."""
        return self.client("sagemaker-runtime")  # type: ignore[no-any-return]

    @cached_property
    def stepfunctions(self) -> SFNClient:
        """Step Functions."""
        return self.client("stepfunctions")  # type: ignore[no-any-return]

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        """CloudWatch's logs."""
        return self.client("logs")  # type: ignore[no-any-return]

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """CloudFormation."""
        return self.client("cloudformation")  # type: ignore[no-any-return]

    @cached_property
    def cost_explorer(self) -> Any:
        """Cost Explorer."""
        return self.client("ce")

    def client(self, service: str) -> Any:
        """Return a client of any other service."""
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=INVOKE_TIMEOUT,
            retries={"mode": "standard", "max_attempts": 4},
            s3={"addressing_style": "path"} if self.is_local else None,
        )
        return self.session.client(
            service, endpoint_url=self.endpoint_url, region_name=self.region, config=config
        )


def connect_local(endpoint_url: str) -> Connection:
    """Return a connection to the emulator at this address."""
    session = boto3.Session(
        aws_access_key_id=LOCAL_CREDENTIAL,
        aws_secret_access_key=LOCAL_CREDENTIAL,
        region_name=LOCAL_REGION,
    )
    return Connection(session, LOCAL_ENVIRONMENT, endpoint_url)


def connect_aws(profile: str, *, environment: str, region: str | None = None) -> Connection:
    """Return a connection to AWS with a profile of the AWS configuration.

    Raises
    ------
    ResourceError
        There is no such profile, or it has no credentials or region.
    """
    with explained(f"opening profile '{profile}'"):
        connection = Connection(
            boto3.Session(profile_name=profile, region_name=region), environment
        )
        if connection.session.get_credentials() is None:
            raise ResourceError(
                f"profile '{profile}' has no credentials: run `aws sso login --profile {profile}` "
                f"or `aws configure --profile {profile}`"
            )
    _ = connection.region
    return connection


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn boto3's errors into the project's own, with what was being done and what to do.

    Parameters
    ----------
    doing
        What the calls are for, such as ``reading the champion``.

    Raises
    ------
    ResourceError
        Anything that boto3 raised.
    """
    try:
        yield
    except botocore.exceptions.ProfileNotFound as error:
        raise ResourceError(
            f"{doing}: {error}; `aws configure list-profiles` lists those there are"
        ) from error
    except (
        botocore.exceptions.NoCredentialsError,
        botocore.exceptions.PartialCredentialsError,
        botocore.exceptions.TokenRetrievalError,
        botocore.exceptions.SSOError,
    ) as error:
        raise ResourceError(
            f"{doing}: no usable AWS credentials ({error}); log in, for example with "
            "`aws sso login --profile …`"
        ) from error
    except botocore.exceptions.EndpointConnectionError as error:
        raise ResourceError(f"{doing}: nothing answers ({error}); is the emulator up?") from error
    except botocore.exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message", str(error))
        remedy = "; is this environment deployed?" if code in _MISSING_CODES else ""
        raise ResourceError(
            f"{doing}: {code}: {message}{remedy or _clock_remedy(error)}"
        ) from error
    except (botocore.exceptions.BotoCoreError, boto3.exceptions.Boto3Error) as error:
        raise ResourceError(f"{doing}: {error}{_clock_remedy(error)}") from error


def _clock_remedy(error: Exception) -> str:
    wrong = any(words in str(error) for words in _WRONG_CLOCK)
    return "; this machine's clock is wrong: set it, then try again" if wrong else ""
