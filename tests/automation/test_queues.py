"""The laptop edition's endpoint accepts messages for queues by SQS's rules, and makes codes with a key as KMS does."""

import hmac
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.bus import served
from local.directory import webhook_key
from local.endpoints import endpoints_of
from local.event_sources import MessageQueue
from local.letters import Letters
from local.queues import Queues
from local.template import ACCOUNT, REGION, Queue, Template
from tests.support.client import Published
from tests.support.world import KEY

PLAIN, LINE, DEAD = (
    f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}" for name in ("Plain", "Line.fifo", "DeadLetters")
)

MIB = 1024 * 1024


class Sqs:
    """SQS's client and the queues behind its endpoint."""

    def __init__(self, directory: Path) -> None:
        arns = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}" for url in (PLAIN, LINE, DEAD)]
        self.letters = Letters(directory / "dead-letters.jsonl")
        self.queues = Queues({arn: Queue(arn, fifo=arn.endswith(".fifo")) for arn in arns}, self.letters)
        self.plain, self.line, self.dead = (self.queues.by_arn[arn] for arn in arns)
        self.client: Any = None

    def refusal(self, operation: str = "send_message", **request: Any) -> str:
        with pytest.raises(ClientError) as caught:
            getattr(self.client, operation)(**request)
        code: str = caught.value.response["Error"]["Code"]
        return code


def client(service: Literal["sqs", "kms"], url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key="unused",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def sqs(tmp_path: Path) -> Iterator[Sqs]:
    made = Sqs(tmp_path)
    with served(Published(), KEY, made.queues) as bus:
        made.client = client("sqs", bus.url)
        yield made
    assert made.dead.receive(10, within=0) == []


def waiting(queue: Any) -> list[str]:
    return [message.body for message in queue.receive(100, within=0)]


def entry(id: str, body: str = "b", **more: Any) -> Mapping[str, Any]:
    return {"Id": id, "MessageBody": body, **more}


def test_a_message_is_for_the_queue_that_its_url_names(sqs: Sqs) -> None:
    sent = sqs.client.send_message(QueueUrl=PLAIN, MessageBody="a")
    in_line = sqs.client.send_message(QueueUrl=LINE, MessageBody="b", MessageGroupId="g", MessageDeduplicationId="d")
    sqs.client.send_message(QueueUrl=DEAD, MessageBody='{"messageId": "m", "body": "c"}')
    (plain,), (line,) = sqs.plain.receive(10, within=0), sqs.line.receive(10, within=0)
    assert (plain.body, plain.id) == ("a", sent["MessageId"])
    assert sent["MD5OfMessageBody"] == "0cc175b9c0f1b6a831c399e269772661"
    assert (line.body, line.group, line.once) == ("b", "g", "d")
    assert in_line["SequenceNumber"] == line.sequence_number
    (letter,) = sqs.client.receive_message(QueueUrl=DEAD, MaxNumberOfMessages=10, VisibilityTimeout=9)["Messages"]
    assert letter["Body"] == "c"


def test_a_queue_that_the_template_lacks_does_not_exist(sqs: Sqs) -> None:
    with pytest.raises(sqs.client.exceptions.QueueDoesNotExist):
        sqs.client.send_message(QueueUrl=f"{PLAIN}s", MessageBody="a")


def test_a_message_is_delayed_by_up_to_900_seconds(sqs: Sqs) -> None:
    sqs.client.send_message(QueueUrl=PLAIN, MessageBody="a", DelaySeconds=900)
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="b", DelaySeconds=901) == "InvalidParameterValue"
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="b", DelaySeconds=-1) == "InvalidParameterValue"
    assert waiting(sqs.plain) == []
    ((hidden, sent),) = ((each.hidden_until, each.sent) for each in sqs.plain._messages)
    assert hidden - sent == pytest.approx(900)


def test_messages_that_sqs_refuses_are_refused(sqs: Sqs) -> None:
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="a" * (MIB + 1)) == "InvalidParameterValue"
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="\N{EURO SIGN}" * (MIB // 3 + 1)) == "InvalidParameterValue"
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="a\ufffe") == "InvalidMessageContents"
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="") == "MissingParameter"
    assert sqs.refusal(QueueUrl=PLAIN, MessageBody="a", MessageDeduplicationId="d") == "InvalidParameterValue"
    assert waiting(sqs.plain) == []
    sqs.client.send_message(QueueUrl=PLAIN, MessageBody="a" * MIB)
    assert waiting(sqs.plain) == ["a" * MIB]


def test_a_fifo_queue_wants_a_group_and_an_id_and_no_delay(sqs: Sqs) -> None:
    both = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    assert sqs.refusal(QueueUrl=LINE, MessageBody="a", MessageDeduplicationId="d") == "MissingParameter"
    assert sqs.refusal(QueueUrl=LINE, MessageBody="a", MessageGroupId="g") == "InvalidParameterValue"
    assert sqs.refusal(QueueUrl=LINE, MessageBody="a", DelaySeconds=5, **both) == "InvalidParameterValue"
    for name in both:
        for wrong in ("a b", "x" * 129):
            code = sqs.refusal(QueueUrl=LINE, MessageBody="a", **{**both, name: wrong})
            assert code == "InvalidParameterValue", (name, wrong)
    assert waiting(sqs.line) == []
    first = sqs.client.send_message(QueueUrl=LINE, MessageBody="a", **both)
    again = sqs.client.send_message(QueueUrl=LINE, MessageBody="a", **both)
    assert [first[name] for name in ("MessageId", "SequenceNumber")] == [
        again[name] for name in ("MessageId", "SequenceNumber")
    ]
    assert waiting(sqs.line) == ["a"]


def test_a_batch_reports_on_each_message(sqs: Sqs) -> None:
    entries = [
        entry("1", "a", MessageGroupId="g", MessageDeduplicationId="1"),
        entry("2", "b", MessageGroupId="g", MessageDeduplicationId="2", DelaySeconds=1),
        entry("3", "c", MessageGroupId="g", MessageDeduplicationId="3"),
    ]
    answer = sqs.client.send_message_batch(QueueUrl=LINE, Entries=entries)
    sent = sqs.line.receive(10, within=0)
    assert [(each["Id"], each["MessageId"], each["SequenceNumber"]) for each in answer["Successful"]] == [
        ("1", sent[0].id, sent[0].sequence_number),
        ("3", sent[1].id, sent[1].sequence_number),
    ]
    assert [message.body for message in sent] == ["a", "c"]
    assert [(each["Id"], each["SenderFault"], each["Code"]) for each in answer["Failed"]] == [
        ("2", True, "InvalidParameterValue")
    ]


def test_batches_that_sqs_refuses_are_refused_whole(sqs: Sqs) -> None:
    refused = {
        "EmptyBatchRequest": [],
        "TooManyEntriesInBatchRequest": [entry(f"{number}") for number in range(11)],
        "InvalidBatchEntryId": [entry("1"), entry("a.b")],
        "BatchEntryIdsNotDistinct": [entry("1"), entry("1")],
        "BatchRequestTooLong": [entry("1", "a" * (MIB // 2)), entry("2", "a" * (MIB // 2 + 1))],
    }
    for code, entries in refused.items():
        assert sqs.refusal("send_message_batch", QueueUrl=PLAIN, Entries=entries) == code
    assert waiting(sqs.plain) == []
    whole = [entry("1", "a" * (MIB // 2)), entry("2", "b" * (MIB // 2))]
    sqs.client.send_message_batch(QueueUrl=PLAIN, Entries=whole)
    sqs.client.send_message_batch(QueueUrl=PLAIN, Entries=[entry(f"{number}") for number in range(10)])
    assert len(waiting(sqs.plain)) == 12


def test_the_endpoint_makes_codes_with_the_key_file_that_the_first_start_made(tmp_path: Path) -> None:
    path = webhook_key(tmp_path)
    key = path.read_bytes()
    assert (len(key), path.stat().st_mode & 0o777) == (32, 0o600)
    assert (webhook_key(tmp_path), path.read_bytes()) == (path, key)
    with served(Published(), KEY, key_file=path) as bus:
        request = {"KeyId": "arn", "MacAlgorithm": "HMAC_SHA_256"}
        answer = client("kms", bus.url).generate_mac(Message=b"atrium/webhook", **request)
    assert {name: answer[name] for name in (*request, "Mac")} == {
        **request,
        "Mac": hmac.digest(key, b"atrium/webhook", "sha256"),
    }


def test_without_an_instance_messages_are_kept_for_the_next_one(template: Template, tmp_path: Path) -> None:
    with endpoints_of(tmp_path, template) as endpoints:
        sqs = boto3.client(
            "sqs",
            endpoint_url=endpoints["eventbridge"],
            region_name=REGION,
            aws_access_key_id=endpoints["access_key_id"],
            aws_secret_access_key="unused",
        )
        url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/ProjectRequests"
        assert sqs.send_message(QueueUrl=url, MessageBody="{}")["MessageId"]
    assert not (tmp_path / "dead-letters.jsonl").exists()
    queues = Queues(template.queues, Letters(tmp_path / "dead-letters.jsonl"), tmp_path / "queues")
    kept = {queue.settings.name: queue.receive(10, within=0) for queue in queues.by_arn.values()}
    assert {name: [each.body for each in got] for name, got in kept.items() if got} == {"ProjectRequests": ["{}"]}


def test_messages_that_are_not_done_are_in_the_queue_of_the_next_instance(tmp_path: Path) -> None:
    """Also one that was received, one with a delay, and those before a line that a kill has left half written. Done
    ones are not, and a queue without messages leaves an empty file.
    """
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:Line.fifo"
    directory = tmp_path / "queues"

    def the_queue() -> MessageQueue:
        letters = Letters(tmp_path / "dead-letters.jsonl")
        return Queues({arn: Queue(arn, fifo=True)}, letters, directory).by_arn[arn]

    first = the_queue()
    for body, delay in (("done", 0.0), ("taken", 0.0), ("late", 3_600.0), ("last", 0.0)):
        first.send(body, delay, group=body, once=body)
    done, taken = first.receive(2, within=0)
    first.delete(done)
    assert (done.body, taken.body) == ("done", "taken")
    (file,) = directory.iterdir()
    file.write_text(file.read_text() + '{"id": "torn", "bo')

    second = the_queue()
    got = second.receive(10, within=0)
    assert [(each.body, each.group, each.once, each.receives) for each in got] == [
        ("taken", "taken", "taken", 1),
        ("last", "last", "last", 1),
    ]
    assert got[0].id == taken.id
    for each in got:
        second.delete(each)

    third = the_queue()
    (late,) = third._messages
    assert late.body == "late"
    assert late.hidden_until == pytest.approx(late.sent + 3_600)
    third.delete(late)
    assert (file.read_text(), the_queue()._messages) == ("", [])
