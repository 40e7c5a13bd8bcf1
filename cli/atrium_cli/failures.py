"""How a command fails: what it says on stderr, and its exit status."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """The exit statuses, for scripts. A number keeps its meaning. 1 is a fault in this program, 130 an interruption,
    and 141 an output that is no longer read."""

    DONE = 0
    USAGE = 2
    REFUSED = 3
    UNAUTHORIZED = 4
    FORBIDDEN = 5
    NOT_FOUND = 6
    CONFLICT = 7
    BUSY = 8
    UNREACHABLE = 9
    SECRET_LOST = 10


# The exit status where the reader of the output has gone: that of a program which a shell says has ended by SIGPIPE.
CLOSED = 141

# For README, which has this table.
MEANINGS: Mapping[Exit, str] = {
    Exit.DONE: "it is done",
    Exit.USAGE: "the command line is wrong, there is no credential, or you said no",
    Exit.REFUSED: "the API refuses what was sent (400, 413, 415, 422 …)",
    Exit.UNAUTHORIZED: "the credential is not valid, or its principal is suspended (401)",
    Exit.FORBIDDEN: "the principal or its credential may not do this (403)",
    Exit.NOT_FOUND: "there is no such thing, or it is no longer kept (404, 410)",
    Exit.CONFLICT: "the state of the thing, or its version, does not allow it (409, 412)",
    Exit.BUSY: "the API was busy at each attempt (429, 503): try again later",
    Exit.UNREACHABLE: "the API cannot be reached, or has a fault (other 5xx)",
    Exit.SECRET_LOST: "a new secret was lost: rotate the credential, but revoke an enrolment",
}

_OF_STATUS = {
    401: Exit.UNAUTHORIZED,
    403: Exit.FORBIDDEN,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    410: Exit.NOT_FOUND,
    412: Exit.CONFLICT,
    429: Exit.BUSY,
    503: Exit.BUSY,
}


@dataclass
class Failure(Exception):
    """A command ends here. `detail` is the API's, a text or a list of fields; the rest is None where no answer came."""

    exit: Exit
    detail: Any
    status: int | None = None
    code: str | None = None
    request_id: str | None = None

    @property
    def is_of_no_api(self) -> bool:
        """Whether it is another server's answer, or a gateway's for a path that Atrium does not have."""
        status = self.status or 500
        is_strange = self.code in (None, "route_not_found") and self.exit is not Exit.BUSY
        return status < 400 or (status < 500 and is_strange)

    def text(self) -> str:
        """For a person, on one line or on several."""
        if isinstance(self.detail, list):
            lines = ["Error: the request is not accepted.", *map(_field, self.detail)]
        else:
            lines = [f"Error: {self.detail}"]
        facts = (self.code, self.status and f"status {self.status}", self.request_id and f"request {self.request_id}")
        if told := ", ".join(fact for fact in facts if fact):
            lines.append(f"({told})")
        return "\n".join(lines)

    def json(self) -> str:
        """For a program, on one line."""
        shown = {"status": self.status, "code": self.code, "detail": self.detail, "request_id": self.request_id}
        return json.dumps(shown, ensure_ascii=False)


def no_api(url: str) -> Failure:
    return Failure(
        Exit.UNREACHABLE, f"There is no Atrium API at {url}. Its URL is that of its page /docs, without /docs."
    )


def refusal(status: int, headers: Mapping[str, str], body: Any) -> Failure:
    """The failure of an answer with a status from 300 on."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if 300 <= status < 400:
        detail = f"The answer leads to {headers.get('location')}: is the URL right?"
    if detail is None:
        # Not Atrium's: of a proxy on the way, say.
        detail = f"The answer has the status {status} and says nothing."
    default = Exit.REFUSED if 400 <= status < 500 else Exit.UNREACHABLE
    code, request_id = headers.get("x-error-code"), headers.get("x-request-id")
    return Failure(_OF_STATUS.get(status, default), detail, status, code, request_id)


def _field(fault: Mapping[str, Any]) -> str:
    place, *rest = (str(part) for part in fault["loc"])
    return f"  {'.'.join(rest) or place}: {fault['msg']}"
