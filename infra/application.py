"""The CDK app: one environment's stacks, directly under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.api_stack import ApiStack
from infra.data_stack import WHEELS, DataStack
from infra.features_stack import FeaturesStack
from infra.monitoring_stack import MonitoringStack
from infra.network_stack import NetworkStack
from infra.serving_stack import ServingStack
from infra.settings import Settings, load_settings
from infra.training_stack import TrainingStack
from listening.errors import ListeningError
from listening.resources import COST_TAG
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path


CONTEXT = {"aws:cdk:disable-creation-stack-traces": True, "aws:cdk:disable-stack-trace": True}
"""What the app tells itself: the command line warns of these keys in ``cdk.json``."""


def main() -> None:
    """Synthesise the environment that ``-c env=`` names, or say in a sentence why not."""
    app = cdk.App(context=CONTEXT)
    environment = app.node.try_get_context("env")
    if environment is None:
        raise SystemExit("name the environment: -c env=local, dev, staging or prod")
    try:
        build(app, load_settings(environment))
    except ListeningError as error:
        raise SystemExit(str(error)) from error
    app.synth()


def build(app: cdk.App, settings: Settings, *, wheels: Path = WHEELS) -> None:
    """Add an environment's stacks to the app.

    Parameters
    ----------
    app
        The app.
    settings
        What the environment chooses.
    wheels
        Folder of the wheels that Glue installs.
    """
    data = DataStack(app, settings=settings, wheels=wheels)
    placement = NetworkStack(app, settings=settings, data=data).placement if settings.vpc else None
    for name in settings.deployed:
        system = SYSTEMS[name]
        FeaturesStack(app, settings=settings, data=data, system=system)
        TrainingStack(app, settings=settings, data=data, placement=placement, system=system)
    ServingStack(app, settings=settings, data=data, placement=placement)
    api = ApiStack(app, settings=settings, data=data)
    MonitoringStack(app, settings=settings, data=data, api_id=api.api.api_id)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    # A changed tag would make CloudFormation write the champion parameter again.
    cdk.Tags.of(app).add(
        COST_TAG, data.names.prefix, exclude_resource_types=["AWS::SSM::Parameter"]
    )
