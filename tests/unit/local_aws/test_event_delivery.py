from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.events import transform

EVENT = {
    "time": "2026-11-22T06:00:00Z",
    "source": "aws.glue",
    "detail": {"jobRunId": "jr_1", "state": "SUCCEEDED", "counts": {"rows": 3}},
}
PASS = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}})


def test_a_placeholder_alone_is_a_value_and_in_a_string_its_text() -> None:
    target = {
        "InputTransformer": {
            "InputPathsMap": {"run": "$.detail.jobRunId", "counts": "$.detail.counts"},
            "InputTemplate": '{"run":<run>,"text":"run <run> of \\"x\\"","counts":<counts>}',
        }
    }
    assert json.loads(transform(target, EVENT)) == {
        "run": "jr_1",
        "text": 'run jr_1 of "x"',
        "counts": {"rows": 3},
    }


def test_a_text_that_holds_quotes_stays_json() -> None:
    target = {
        "InputTransformer": {
            "InputPathsMap": {"why": "$.detail.why"},
            "InputTemplate": '{"alone":<why>,"within":"because <why>"}',
        }
    }
    event = {**EVENT, "detail": {"why": 'no "country"\nleft'}}
    assert json.loads(transform(target, event)) == {
        "alone": 'no "country"\nleft',
        "within": 'because no "country"\nleft',
    }


def test_input_and_input_path_and_nothing() -> None:
    assert transform({"Input": '{"a": 1}'}, EVENT) == '{"a": 1}'
    assert json.loads(transform({"InputPath": "$.detail.state"}, EVENT)) == "SUCCEEDED"
    assert json.loads(transform({}, EVENT)) == EVENT


@pytest.fixture
def machine(emulator: Any) -> str:
    client = emulator.client("stepfunctions")
    made = client.create_state_machine(name="training", definition=PASS, roleArn=emulator.role)
    return str(made["stateMachineArn"])


def executions(emulator: Any, machine: str) -> list[dict[str, Any]]:
    client = emulator.client("stepfunctions")
    return [
        client.describe_execution(executionArn=one["executionArn"])
        for one in client.list_executions(stateMachineArn=machine)["executions"]
    ]


def rule(emulator: Any, name: str, machine: str, *, state: str = "ENABLED", **more: Any) -> None:
    events = emulator.client("events")
    events.put_rule(Name=name, State=state, **more)
    transformer = {
        "InputPathsMap": {"run": "$.detail.jobRunId"},
        "InputTemplate": '{"features_run":<run>,"rule":"' + name + '"}',
    }
    target = {"Id": "1", "Arn": machine, "RoleArn": emulator.role, "InputTransformer": transformer}
    events.put_targets(Rule=name, Targets=[target])


def test_a_glue_event_starts_the_state_machine_of_the_rule_that_it_matches(
    emulator: Any, machine: str
) -> None:
    pattern = {"source": ["aws.glue"], "detail": {"jobName": ["splits"], "state": ["SUCCEEDED"]}}
    rule(emulator, "matches", machine, EventPattern=json.dumps(pattern))
    other = {"source": ["aws.glue"], "detail": {"jobName": ["embeddings"]}}
    rule(emulator, "differs", machine, EventPattern=json.dumps(other))
    rule(emulator, "disabled", machine, state="DISABLED", EventPattern=json.dumps(pattern))
    rule(emulator, "schedule", machine, ScheduleExpression="rate(1 day)")
    emulator.emulator.events.publish(
        source="aws.glue",
        kind="Glue Job State Change",
        detail={"jobName": "splits", "state": "SUCCEEDED", "jobRunId": "jr_1"},
    )
    emulator.wait(lambda: executions(emulator, machine))
    found = executions(emulator, machine)
    assert [json.loads(one["input"]) for one in found] == [
        {"features_run": "jr_1", "rule": "matches"}
    ]
    assert len(found[0]["name"]) == 73  # <uuid>_<uuid>, as EventBridge names them


def test_put_events_reaches_state_machines_too(emulator: Any, machine: str) -> None:
    rule(emulator, "own", machine, EventPattern=json.dumps({"source": ["listening"]}))
    detail = json.dumps({"jobRunId": "by hand"})
    entry = {"Source": "listening", "DetailType": "x", "Detail": detail}
    emulator.client("events").put_events(Entries=[entry])
    emulator.wait(lambda: executions(emulator, machine))


def test_an_object_event_has_the_form_that_s3_gives_it(emulator: Any, machine: str) -> None:
    s3 = emulator.bucket()
    configuration: dict[str, Any] = {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(
        Bucket="plays", NotificationConfiguration=configuration
    )
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": ["plays"]},
            "object": {"key": [{"wildcard": "raw/*/_READY"}]},
        },
    }
    events = emulator.client("events")
    events.put_rule(Name="ready", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ready", Targets=[{"Id": "1", "Arn": machine}])
    s3.put_object(Bucket="plays", Key="raw/one/users.csv", Body=b"")
    s3.put_object(Bucket="plays", Key="raw/one/_READY", Body=b"")
    emulator.wait(lambda: executions(emulator, machine))
    (execution,) = executions(emulator, machine)
    event = json.loads(execution["input"])
    assert event["detail"]["object"]["key"] == "raw/one/_READY"
    assert event["detail"]["reason"] == "PutObject"
    assert event["resources"] == ["arn:aws:s3:::plays"]


def test_a_bucket_without_the_switch_sends_nothing(emulator: Any, machine: str) -> None:
    s3 = emulator.bucket()
    rule(emulator, "all", machine, EventPattern=json.dumps({"source": ["aws.s3"]}))
    s3.put_object(Bucket="plays", Key="raw/one/_READY", Body=b"")
    rule(emulator, "mark", machine, EventPattern=json.dumps({"source": ["mark"]}))
    emulator.emulator.events.publish(source="mark", kind="x", detail={"jobRunId": "later"})
    emulator.wait(lambda: executions(emulator, machine))
    assert [json.loads(one["input"])["rule"] for one in executions(emulator, machine)] == ["mark"]


def test_notices_and_queues_still_get_their_events(emulator: Any) -> None:
    sqs, sns, events = (emulator.client(name) for name in ("sqs", "sns", "events"))
    queue = sqs.create_queue(QueueName="notices")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    topic = sns.create_topic(Name="notices")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    events.put_rule(Name="failed", EventPattern=json.dumps({"source": ["aws.glue"]}))
    events.put_targets(
        Rule="failed", Targets=[{"Id": "1", "Arn": topic}, {"Id": "2", "Arn": arn["QueueArn"]}]
    )
    emulator.emulator.events.publish(source="aws.glue", kind="x", detail={"state": "FAILED"})
    texts: list[str] = []

    def both() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        texts.extend(message["Body"] for message in answer.get("Messages", []))
        return len(texts) == 2

    emulator.wait(both)
    assert all("FAILED" in text for text in texts)
