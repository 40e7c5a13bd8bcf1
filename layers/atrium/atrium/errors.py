"""The failures that the domain names. None of them knows HTTP; `api` maps each to a status, in one dictionary."""

from dataclasses import dataclass
from enum import Enum, unique


@dataclass(frozen=True)
class Detail:
    """One thing wrong with what was sent: where, what to do about it, and a stable word for programs."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Refusal(Exception):
    """A request that Atrium refuses. `message` is for the caller: it says what is wrong and holds nothing submitted.
    `code` is for the caller's program; one that no route can meet needs none of its own."""

    def __init__(self, message: str, code: "Code | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or Code.REQUEST_REFUSED


class NotFound(Refusal):
    """There is no such thing, or none that this tenant may know of."""


class Forbidden(Refusal):
    """The caller may know of it, but may not do this."""


class Conflict(Refusal):
    """The thing's state does not allow it."""


class Archived(Conflict):
    """Its project is archived."""

    def __init__(self) -> None:
        super().__init__("The project is archived.", Code.PROJECT_ARCHIVED)


class NamedManager(Conflict):
    """A project always has a named manager, who cannot be removed or demoted."""

    def __init__(self) -> None:
        super().__init__("This member is the project's manager.", Code.NAMED_MANAGER)


class Duplicate(Conflict):
    """It is there already."""


class PreconditionFailed(Refusal):
    """If-Match named another version than the current one."""


class Invalid(Refusal):
    """The request cannot be accepted, whatever the state. The word of a lone detail is its code, if it is one."""

    def __init__(self, *details: Detail) -> None:
        code = Code.__members__.get(details[0].type.upper()) if len(details) == 1 else None
        super().__init__("; ".join(detail.msg for detail in details), code or Code.INVALID_REQUEST)
        self.details = details


class Unfit(Invalid):
    """A field cannot be what was given. `field` is the domain's name of it, `reason` a stable word for programs,
    `limit` the bound that was passed, if it was one."""

    def __init__(self, field: str, reason: str, message: str, limit: int | None = None) -> None:
        super().__init__(Detail((field,), message, reason))
        self.field = field
        self.reason = reason
        self.limit = limit


class TooLarge(Refusal):
    """The body is over the limit."""


class WrongMediaType(Refusal):
    """The body is not declared as JSON."""


class Unavailable(Refusal):
    """The table did not answer in time. Nothing is known to be wrong with the request; the same one may be sent
    again.
    """

    def __init__(self) -> None:
        super().__init__(
            "The service is busy. Send the same request again, with the same Idempotency-Key.", Code.TRY_AGAIN
        )


@unique
class Code(Enum):
    """A program knows a refusal by its code, which is the same in either dialect. It has the kind of refusal, and what
    to do about it. A code is never given to another thing, and none is taken away. Those of `Refusal` itself come from
    outside of the domain: the gateway, or a fault of ours.
    """

    INVALID_REQUEST = Invalid, "Mend what the message names."
    JSON_INVALID = Invalid, "Send a JSON object in UTF-8, within the limits that the message names."
    IDEMPOTENCY_KEY_REUSED = Invalid, "Send a new key: this one belongs to another request of yours."
    NOT_A_MEMBER = Invalid, "Name a member of the project, or add the principal first."
    UNKNOWN_PRINCIPAL = Invalid, "Name a principal of your tenant."
    UNKNOWN_ROLE = Invalid, "Take the id of a project's role from `GET /v1/roles`."

    UNAUTHORIZED = Refusal, "Send a credential that is valid; a revoked or expired one needs a successor."
    SEVERAL_CREDENTIALS = Refusal, "Send one credential, in one header."

    PROJECT_READ_REQUIRED = Forbidden, "Ask a manager for a role in the project or in its space: you have none."
    PROJECT_CREATE_REQUIRED = Forbidden, "Ask for a role in the space that has `project:create`."
    PROJECT_UPDATE_REQUIRED = Forbidden, "Ask for a role that has `project:update`."
    PROJECT_TRANSFER_REQUIRED = Forbidden, "Ask for a role that has `project:transfer`."
    PROJECT_DELETE_REQUIRED = Forbidden, "Ask for a role that has `project:delete`."
    MEMBER_MANAGE_REQUIRED = Forbidden, "Ask for a role that has `member:manage`."
    RECORD_WRITE_REQUIRED = Forbidden, "Ask for a role that has `record:write`."
    MANAGER_REQUIRED = Forbidden, "Leave it to a manager of the project; v1 lets a contributor change one."
    ROLE_ABOVE_OWN = Forbidden, "Leave it to a member whose role is as strong as the one in question."
    NOT_AUTHOR = Forbidden, "Leave it to the note's author."

    ROUTE_NOT_FOUND = Refusal, "Check the path and the method."
    PROJECT_NOT_FOUND = NotFound, "Take a project's id from a list: this one is deleted, or never was yours to see."
    SPACE_NOT_FOUND = NotFound, "Take the space's id from `GET /v1/me`."
    MEMBER_NOT_FOUND = NotFound, "Take the member's `principal_id` from the list of members."
    USER_NOT_FOUND = NotFound, "Check the address, or search by name."
    TASK_NOT_FOUND = NotFound, "Take the task's id from the list of tasks."
    NOTE_NOT_FOUND = NotFound, "Take the note's id from the task."
    DATASET_NOT_FOUND = NotFound, "Take the dataset's id from the list of datasets."
    EXPERIMENT_NOT_FOUND = NotFound, "Take the experiment's id from the list of experiments."
    DECISION_NOT_FOUND = NotFound, "Take the decision's id from the list of decisions."
    PRINCIPAL_NOT_FOUND = NotFound, "Ask those who run Atrium: your credential speaks for a principal that is gone."

    PROJECT_ARCHIVED = Archived, "Make the project active again first, with v1's `PATCH`."
    NAMED_MANAGER = NamedManager, "Hand the project over to another member first, with v1's `PATCH`."
    ALREADY_MEMBER = Duplicate, "Nothing is left to do; change the member's role if it is another one."
    TOO_MANY_MEMBERS = Conflict, "Remove a member first."

    VERSION_MISMATCH = PreconditionFailed, "Read it again, and decide on the version that is there now."
    VERSION_IS_CURRENT = PreconditionFailed, "Leave `If-None-Match` out to change the version that you have."

    BODY_TOO_LARGE = TooLarge, "Send less: a body has at most 256 KB."
    MEDIA_TYPE_UNSUPPORTED = WrongMediaType, "Send `Content-Type: application/json`, and no `Content-Encoding`."

    TOO_MANY_REQUESTS = Refusal, "Nothing was done. Wait as `Retry-After` says, then send the same again."
    TRY_AGAIN = Unavailable, "Wait as `Retry-After` says, then send the same again, with the same key."
    TIMED_OUT = Refusal, "It may have happened: send the same again, with the same key."
    INTERNAL_ERROR = Refusal, "Our fault. Tell us the `X-Request-Id`; with a key it is safe to send the same again."
    REQUEST_REFUSED = Refusal, "The gateway refused it for another reason than those above, which its status tells."

    def __init__(self, kind: type[Refusal], advice: str) -> None:
        self.kind = kind
        self.advice = advice

    @property
    def word(self) -> str:
        """As it is sent."""
        return self.name.lower()


def project_not_found() -> NotFound:
    return NotFound("Project not found.", Code.PROJECT_NOT_FOUND)


def not_a_member(field: str) -> Unfit:
    return Unfit(field, "not_a_member", "Must be a member of the project")
