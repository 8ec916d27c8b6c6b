"""EventBridge: events of the emulated services, delivered to the targets of the rules they match.

Moto matches patterns but delivers to few targets, sends no events of Glue, SageMaker or Step
Functions, and takes a rule without a pattern (a schedule) for one that matches everything.
Schedules never fire here.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jsonpath_ng.ext.parser import parse as parse_path
from moto.core.exceptions import ServiceException
from moto.events.models import Rule, events_backends
from moto.s3 import notifications
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from werkzeug.exceptions import HTTPException

from local_aws.logs import put_log_lines
from local_aws.runtime import ACCOUNT, REGION, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local_aws.patching import Patches

log = logging.getLogger(__name__)

PLACEHOLDER = re.compile(r"<([^<>\s]+)>")
S3_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html"""


def transform(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Return what a target receives of an event, as JSON text.

    ``Input``, ``InputPath`` and ``InputTransformer`` as in
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html:
    a placeholder that stands alone becomes the JSON value, one inside a string its text.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(event, target["InputPath"]))
    if "InputTransformer" not in target:
        return json.dumps(event)
    transformer = target["InputTransformer"]
    values = {name: _at(event, p) for name, p in transformer.get("InputPathsMap", {}).items()}
    values |= {
        "aws.events.event": event,
        "aws.events.event.json": event,
        "aws.events.rule-name": target.get("RuleName", ""),
        "aws.events.event.ingestion-time": event["time"],
    }
    return _fill(transformer["InputTemplate"], values)


def _fill(template: str, values: Mapping[str, Any]) -> str:
    filled, inside_string, position = [], False, 0
    while position < len(template):
        character = template[position]
        match = PLACEHOLDER.match(template, position)
        if match and match[1] in values:
            value = values[match[1]]
            text = value if isinstance(value, str) else json.dumps(value)
            filled.append(json.dumps(text)[1:-1] if inside_string else json.dumps(value))
            position = match.end()
            continue
        if character == "\\" and inside_string:
            filled.append(template[position : position + 2])
            position += 2
            continue
        if character == '"':
            inside_string = not inside_string
        filled.append(character)
        position += 1
    return "".join(filled)


def _at(event: Mapping[str, Any], path: str) -> Any:
    found = parse_path(path).find(event)
    return found[0].value if found else None


class EventBus:
    """Publishes events and delivers them in the background, as EventBridge does."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._targets: dict[str, Callable[[str, str, Mapping[str, Any]], None]] = {
            "sns": _to_topic,
            "sqs": _to_queue,
            "logs": _to_log_group,
        }

    def deliver_to(
        self, service: str, deliver: Callable[[str, str, Mapping[str, Any]], None]
    ) -> None:
        """Register how a service takes an event: its ARN, the JSON text, the event itself."""
        self._targets[service] = deliver

    def publish(
        self,
        *,
        source: str,
        kind: str,
        detail: Mapping[str, Any],
        resources: tuple[str, ...] = (),
    ) -> None:
        """Send an event of a service to the default bus."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": source,
            "account": ACCOUNT,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": list(resources),
            "detail": json.loads(json.dumps(detail, default=str)),
        }
        for bus in list(events_backends[ACCOUNT][REGION].event_buses.values()):
            for rule in list(bus.rules.values()):
                rule.send_to_targets(event)  # type: ignore[arg-type]

    def install(self, patches: Patches) -> None:
        """Make rules deliver, and S3 send its events in EventBridge's form."""
        patches.wrap(Rule, "send_to_targets", self._send_to_targets)
        patches.replace(notifications, "_send_event_bridge_message", self._object_event)

    def _send_to_targets(
        self, _original: Callable[..., None], rule: Any, original_event: Any, **_: object
    ) -> None:
        event = dict(original_event)
        event.setdefault("time", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        is_schedule = not rule.event_pattern.get_pattern()
        if rule.state != "ENABLED" or is_schedule or not rule.event_pattern.matches_event(event):
            return
        for target in list(rule.targets):
            self._runtime.submit(self._deliver, rule, target, event)

    def _deliver(self, rule: Any, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        arn = target["Arn"]
        log.info("rule %s sends '%s' to %s", rule.name, event["detail-type"], arn)
        deliver = self._targets.get(arn.split(":")[2])
        if deliver is None:
            log.error("rule %s: the emulator delivers nothing to %s", rule.name, arn)
            return
        try:
            deliver(arn, transform({**target, "RuleName": rule.name}, event), event)
        except (ServiceException, HTTPException) as error:
            log.error("rule %s: %s refused the event: %s", rule.name, arn, error)

    def _object_event(self, _account: str, bucket: Any, event_name: str, key: Any) -> None:
        name = str(getattr(event_name, "value", event_name))
        reason = S3_REASONS.get(name.removeprefix("s3:"))
        if reason is None:
            return
        self.publish(
            source="aws.s3",
            kind="Object Created" if "ObjectCreated" in name else "Object Deleted",
            resources=(bucket.arn,),
            detail={
                "version": "0",
                "bucket": {"name": bucket.name},
                "object": {
                    "key": key.name,
                    "size": key.size,
                    "etag": key.etag.strip('"'),
                    "version-id": key.version_id,
                    "sequencer": f"{uuid.uuid4().int >> 64:016X}",
                },
                "request-id": uuid.uuid4().hex[:16].upper(),
                "requester": ACCOUNT,
                "source-ip-address": "127.0.0.1",
                "reason": reason,
            },
        )


def _to_topic(arn: str, text: str, _event: Mapping[str, Any]) -> None:
    sns_backends[ACCOUNT][REGION].publish(text, arn=arn)


def _to_queue(arn: str, text: str, _event: Mapping[str, Any]) -> None:
    sqs_backends[ACCOUNT][REGION].send_message(arn.rsplit(":", 1)[1], text)


def _to_log_group(arn: str, text: str, event: Mapping[str, Any]) -> None:
    group = arn.split(":log-group:", 1)[1].removesuffix(":*")
    put_log_lines(group=group, stream=str(event["id"]), lines=[text])
