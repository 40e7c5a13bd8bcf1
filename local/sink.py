"""`make webhook-sink`: receives webhooks on this machine, and prints a line for each request, with its verification.

PORT= is the port; without it 4000, or a free one if that is in use. SECRET=whsec_… verifies signatures; SECRET=one,two
does in the overlap after a rotation. REFUSE= shows how a sender meets failures: with a status (500), a status and a
Retry-After (429:30), `hang` (no answer) or `close` (a closed connection); 500x3 refuses only the first three requests.
"""

import json
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from math import inf

from standardwebhooks import Webhook, WebhookVerificationError

from local.directory import data_directory
from local.loopback import Handler, listening
from local.terminal import say

PORT = 4000

_REFUSE = re.compile("(?:(hang|close)|([2-5][0-9]{2})(?::([0-9]+))?)(?:x([0-9]+))?")
_SECRET = re.compile("whsec_[A-Za-z0-9+/]{43}=")
_VERIFIED, _UNVERIFIED = "verified", "unverified"


@dataclass(frozen=True)
class Refusal:
    """The answer to the first `times` requests: a status or "hang" or "close", with a Retry-After or without one."""

    answer: str
    retry_after: str | None
    times: float


# The answer to a request that does not verify.
_UNAUTHORIZED = Refusal("401", None, inf)


class Sink:
    """Takes requests, verifies them by any of some secrets if there are any, and refuses them as told."""

    def __init__(self, secrets: Sequence[Webhook], refusal: Refusal | None) -> None:
        self._secrets = secrets
        self._refusal = refusal
        self._lock = threading.Lock()
        # How many requests had this webhook-id, and how many were refused as told.
        self._attempts: Counter[str] = Counter()
        self._refused = 0

    def handler(self) -> type[Handler]:
        sink = self

        class Endpoint(Handler):
            def answer(self) -> None:
                sink.take(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        return Endpoint

    def take(self, request: Handler, content: bytes) -> None:
        """Prints a line, then answers."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        id = headers.get("webhook-id", "-")
        verdict = self._verdict(headers, content)
        with self._lock:
            self._attempts[id] += 1
            attempt = self._attempts[id]
            refusal = self._next_refusal() if verdict in (_VERIFIED, _UNVERIFIED) else _UNAUTHORIZED
        answer = refusal.answer if refusal else "200"
        say(f"{answer} {verdict} {_printable(_type(content))} {_printable(id)} attempt {attempt}")
        if answer == "hang":
            request.rfile.read(1)  # ends when the sender closes the connection
        if answer in ("hang", "close"):
            request.close_connection = True
        else:
            more = {"Retry_After": refusal.retry_after} if refusal and refusal.retry_after else {}
            request.reply(int(answer), b"", **more)

    def _next_refusal(self) -> Refusal | None:
        if self._refusal is None or self._refused >= self._refusal.times:
            return None
        self._refused += 1
        return self._refusal

    def _verdict(self, headers: Mapping[str, str], content: bytes) -> str:
        """Whether one of the secrets verifies the request, with the reason if none does."""
        if not self._secrets:
            return _UNVERIFIED
        why = ""
        for secret in self._secrets:
            try:
                secret.verify(content, dict(headers), json_parse=False)
                return _VERIFIED
            except WebhookVerificationError as error:
                why = str(error)
            except ValueError:  # of a signature or a body that cannot be decoded
                why = "Malformed"
        return f"not verified ({why})"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    secrets = _secrets(os.environ.get("SECRET", ""))
    sink = Sink(secrets, _refusal(os.environ.get("REFUSE", "")))
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        url = _listening(stack, sink.handler(), os.environ.get("PORT", ""))
        print(_welcome(url, bool(secrets)), flush=True)
        threading.Event().wait()


def _listening(stack: ExitStack, handler: type[Handler], given: str) -> str:
    if given and (not given.isdecimal() or int(given) > 65_535):
        sys.exit(f"PORT={given} is no port.")
    for port in [int(given)] if given else [PORT, 0]:
        with suppress(OSError):
            return stack.enter_context(listening(handler, "sink", port))
    sys.exit(f"Port {given} is in use. Set another one, or none: make webhook-sink")


def _secrets(given: str) -> list[Webhook]:
    secrets = [each.strip() for each in given.split(",") if each.strip()]
    if not all(map(_SECRET.fullmatch, secrets)):
        sys.exit("SECRET= takes one secret, or two with a comma between them: whsec_ and base64 of 32 bytes.")
    return [Webhook(each) for each in secrets]


def _refusal(given: str) -> Refusal | None:
    if not given:
        return None
    found = _REFUSE.fullmatch(given)
    if found is None:
        sys.exit(
            f"REFUSE={given}: send a status (500), 429:30, hang or close, and x3 behind it for the first three only."
        )
    answer, status, retry_after, times = found.groups()
    return Refusal(answer or status, retry_after, int(times) if times else inf)


def _welcome(url: str, verifies: bool) -> str:
    """The command that registers the sink, for the instance that runs on the data directory or is to run."""
    api, token = "http://127.0.0.1:3000", "$TOKEN"
    with suppress(FileNotFoundError):
        dev = json.loads((data_directory() / "dev.json").read_text())
        api, token = dev["base_url"], dev["tenants"]["acme"]["principals"]["owner"]["token"]
    hint = (
        "" if verifies else "\nNothing is verified. With the `secret` of the answer: make webhook-sink SECRET=whsec_…\n"
    )
    return f"""
The sink listens on {url}/. Register it with `make run`:

  curl {api}/v1/webhooks -H "Authorization: Bearer {token}" -H 'Content-Type: application/json' \\
    -d '{{"url": "{url}/", "events": ["*"]}}'
{hint}
A line below is an attempt: its answer, verification, type and event. Ctrl-C ends the sink.
"""


def _type(content: bytes) -> str:
    """The type of an event, or a hyphen if the content is none."""
    with suppress(ValueError):
        event = json.loads(content)
        if isinstance(event, dict):
            return str(event.get("type", "-"))
    return "-"


def _printable(text: str) -> str:
    """A text of a sender, without characters that would control the terminal."""
    return "".join(each if each.isprintable() else "?" for each in text[:100])


if __name__ == "__main__":
    main()
