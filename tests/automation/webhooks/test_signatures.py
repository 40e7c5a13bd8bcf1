"""The library of Standard Webhooks verifies what Atrium signs, and secrets are derived from a key that is KMS's."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws
from standardwebhooks import Webhook, WebhookVerificationError

from atrium import ids, signatures
from atrium.errors import Unavailable
from atrium.signatures import headers, secret, shown
from tests.support.clock import Clock, unhurried

TENANT, ENDPOINT = "4d30d21a08116d9ced4c2aa8", "4d30d21a08126d9ced4c2aa9"
TEXT = b"atrium/webhook/4d30d21a-0811-8000-8000-6d9ced4c2aa8/4d30d21a-0812-8000-8000-6d9ced4c2aa9/3"

BODY = '{"id":"4d30d21a-0811-8000-8000-6d9ced4c2aa8","name":"Brücke 🌉","type":"project.created"}'.encode()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock by which secrets are forgotten; none is known at first."""
    clock = unhurried()
    monkeypatch.setattr(signatures, "time", clock)
    signatures.remembered.clear()
    signatures.kms.cache_clear()
    yield clock
    signatures.remembered.clear()
    signatures.kms.cache_clear()


@pytest.fixture
def key(kms: "Kms") -> str:
    """The key of a KMS on this machine."""
    return ARN


# ---------------------------------------------------------------- signatures


def test_library_verifies_what_is_signed(key: str) -> None:
    own = secret(key, TENANT, ENDPOINT, 1)
    signed = headers("e1", int(time.time()), BODY, [own])
    assert Webhook(shown(own)).verify(BODY, signed) == json.loads(BODY)


def test_headers_are_those_of_the_specification() -> None:
    # The specification's own example.
    own = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [own]) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "content-type": "application/json",
    }


def test_in_an_overlap_each_of_two_secrets_verifies_and_the_newest_signs_first(key: str) -> None:
    old, new = (secret(key, TENANT, ENDPOINT, version) for version in (1, 2))
    moment = int(time.time())
    signed = headers("e1", moment, BODY, [new, old])
    for each in (old, new):
        assert Webhook(shown(each)).verify(BODY, signed) == json.loads(BODY)
    alone = [headers("e1", moment, BODY, [each])["webhook-signature"] for each in (new, old)]
    assert signed["webhook-signature"] == " ".join(alone)


@pytest.mark.parametrize("other", [(TENANT, ENDPOINT, 2), (TENANT, TENANT, 1), (ENDPOINT, ENDPOINT, 1)])
def test_secret_of_another_version_endpoint_or_tenant_verifies_nothing(key: str, other: tuple[str, str, int]) -> None:
    signed = headers("e1", int(time.time()), BODY, [secret(key, TENANT, ENDPOINT, 1)])
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(shown(secret(key, *other))).verify(BODY, signed)


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (BODY + b" ", {}),
        (BODY.replace(b"created", b"deleted"), {}),
        (b"", {}),
        (BODY, {"webhook-id": "e2"}),
        (BODY, {"webhook-id": ""}),
        (BODY, {"webhook-timestamp": str(int(time.time()) + 1)}),
        (BODY, {"webhook-timestamp": "1614265330"}),
        (BODY, {"webhook-signature": "v1,AAAA"}),
    ],
)
def test_tampered_message_is_refused(key: str, body: bytes, changed: Mapping[str, str]) -> None:
    own = secret(key, TENANT, ENDPOINT, 1)
    # A moment that no row has.
    signed = headers("e1", int(time.time()) - 60, BODY, [own])
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(own)).verify(body, {**signed, **changed})


def test_shown_secret_is_a_prefix_and_base64_of_32_bytes(key: str) -> None:
    own = secret(key, TENANT, ENDPOINT, 1)
    prefix, encoded = shown(own)[:6], shown(own)[6:]
    assert (prefix, base64.b64decode(encoded, validate=True), len(own)) == ("whsec_", own, 32)


# ---------------------------------------------------------------- KMS


class Kms:
    """A KMS on this machine. `answers` are what it says instead of a MAC, first to last; it closes the connection for
    None. `asked` are the requests.
    """

    def __init__(self) -> None:
        self.key = bytes(range(32))
        self.asked: list[Any] = []
        self.answers: list[tuple[int, bytes] | None] = []

    def answer(self, target: str | None, request: Any) -> tuple[int, bytes] | None:
        self.asked.append((target, request))
        if self.answers:
            return self.answers.pop(0)
        mac = hmac.digest(self.key, base64.b64decode(request["Message"]), hashlib.sha256)
        return 200, json.dumps({"Mac": base64.b64encode(mac).decode(), "KeyId": request["KeyId"]}).encode()


ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    made = Kms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = made.answer(self.headers["X-Amz-Target"], request)
            if answer is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def expected(version: int, key: bytes = bytes(range(32))) -> bytes:
    return hmac.digest(key, TEXT[:-1] + str(version).encode(), hashlib.sha256)


def test_kms_makes_the_mac(kms: Kms) -> None:
    assert secret(ARN, TENANT, ENDPOINT, 3) == expected(3)
    message = base64.b64encode(TEXT).decode()
    asked = {"KeyId": ARN, "Message": message, "MacAlgorithm": "HMAC_SHA_256"}
    assert kms.asked == [("TrentService.GenerateMac", asked)]


def test_client_of_kms_waits_for_seconds_and_tries_once(kms: Kms) -> None:
    config = signatures.kms().meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1, 3, 1)


def test_kms_of_moto_makes_secrets_that_verify() -> None:
    with mock_aws():
        client = boto3.client("kms")
        made = client.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
        arn = made["KeyMetadata"]["Arn"]
        own = secret(arn, TENANT, ENDPOINT, 3)
        assert len(own) == 32
        verified = client.verify_mac(KeyId=arn, Message=TEXT, Mac=own, MacAlgorithm="HMAC_SHA_256")
    assert verified["MacValid"] is True
    signed = headers("e1", int(time.time()), BODY, [own])
    assert Webhook(shown(own)).verify(BODY, signed) == json.loads(BODY)


def test_secret_is_asked_for_once_in_five_minutes(kms: Kms, clock: Clock) -> None:
    for _ in range(3):
        assert secret(ARN, TENANT, ENDPOINT, 1) == expected(1)
    clock.sleep(299)
    assert secret(ARN, TENANT, ENDPOINT, 1) == expected(1)
    assert len(kms.asked) == 1
    clock.sleep(1)
    kms.key = bytes(32)
    assert secret(ARN, TENANT, ENDPOINT, 1) == expected(1, bytes(32))
    assert len(kms.asked) == 2


def test_each_key_and_name_has_a_secret_of_its_own(kms: Kms) -> None:
    asked = [(ARN, ENDPOINT, 1), (ARN, ENDPOINT, 2), (ARN, TENANT, 1), (f"{ARN}c", ENDPOINT, 1)]
    first = [secret(by, TENANT, endpoint, version) for by, endpoint, version in asked]
    assert [secret(by, TENANT, endpoint, version) for by, endpoint, version in asked] == first
    # The second ARN names the same key here.
    assert len(set(first)) == 3
    assert len(kms.asked) == 4


def test_forgotten_secrets_take_no_memory(key: str, clock: Clock) -> None:
    for version in range(45):
        secret(key, TENANT, ENDPOINT, version)
        clock.sleep(60)
    assert len(signatures.remembered) == 5


FAILURES = [
    (500, b'{"__type":"KMSInternalException"}'),
    (400, b'{"__type":"ThrottlingException"}'),
    (400, b'{"__type":"AccessDeniedException"}'),
    (503, b"<html>busy</html>"),
    (500, b"[1, 2]"),
    (200, b"[]"),
    (200, b"{}"),
    (200, b"\xff\xfe"),
    (502, b"\xff\xfe"),
    None,
]


@pytest.mark.parametrize("failure", FAILURES)
def test_failure_of_kms_is_tried_once_more(kms: Kms, failure: tuple[int, bytes] | None) -> None:
    kms.answers = [failure]
    assert secret(ARN, TENANT, ENDPOINT, 1) == expected(1)
    assert len(kms.asked) == 2


@pytest.mark.parametrize("failure", FAILURES)
def test_second_failure_of_kms_is_unavailable_and_is_not_remembered(
    kms: Kms, failure: tuple[int, bytes] | None
) -> None:
    kms.answers = [failure, failure]
    with pytest.raises(Unavailable):
        secret(ARN, TENANT, ENDPOINT, 1)
    assert len(kms.asked) == 2
    assert secret(ARN, TENANT, ENDPOINT, 1) == expected(1)


def test_threads_that_ask_at_once_have_the_same_secrets(key: str) -> None:
    at_once = threading.Barrier(8)

    def ask(_: int) -> list[bytes]:
        at_once.wait()
        return [secret(key, TENANT, ids.derived_id(str(each)), 1) for each in range(50)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert all(each == found[0] for each in found)
    assert len(set(found[0])) == 50
