"""The failures that the domain names. None of them says how a caller is told: `api` and `automation` spell them."""

# ruff: noqa: PIE796 (codes that share a kind differ by number)

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Detail:
    """One thing wrong with what was sent: where, what to do about it, and a stable word for programs."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Refusal(Exception):
    """A request that Atrium refuses. `message` is for the caller: it says what is wrong and holds nothing submitted.
    `code` is for the caller's program; one that no request can meet needs none of its own."""

    def __init__(self, message: str, code: "Code | None" = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or Code.REQUEST_REFUSED


class Inactive(Refusal):
    """The caller is suspended, or no longer there."""

    def __init__(self) -> None:
        super().__init__("The principal of this credential is suspended or deleted.", Code.PRINCIPAL_INACTIVE)


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


class VersionRefused(Refusal):
    """The `current` version is none that the caller accepts; None for a thing that is only being made. The code says
    whether the caller expected another one, or excluded this one."""

    def __init__(self, current: str | None, code: "Code") -> None:
        super().__init__("The current version is none that the request accepts.", code)
        self.current = current


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


class KeyReused(Invalid):
    """The idempotency key belongs to another request of the caller's."""

    def __init__(self) -> None:
        message = "This idempotency key was used for another request."
        super().__init__(Detail(("key",), message, "idempotency_key_reused"))


class Gone(Refusal):
    """The thing was there, and is no longer kept."""


class TooLarge(Refusal):
    """More was sent than Atrium takes."""


class WrongMediaType(Refusal):
    """Something was sent that is not declared as JSON."""


class Unavailable(Refusal):
    """The table did not answer in time. Nothing is known to be wrong with the request; the same one may be sent
    again.
    """

    def __init__(self) -> None:
        super().__init__(
            "The service is busy. Send the same request again, with the same idempotency key.", Code.TRY_AGAIN
        )


class Code(Enum):
    """A program knows a refusal by its code. It has the kind of refusal. A code is never given to another thing, and
    none is taken away. Those of `Refusal` itself come from outside of the domain: from before a request is carried out,
    or from a fault of ours.
    """

    kind: type[Refusal]

    INVALID_REQUEST = Invalid
    JSON_INVALID = Invalid
    IDEMPOTENCY_KEY_REUSED = KeyReused
    NOT_A_MEMBER = Invalid
    UNKNOWN_PRINCIPAL = Invalid
    UNKNOWN_ROLE = Invalid

    UNAUTHORIZED = Refusal
    SEVERAL_CREDENTIALS = Refusal
    PRINCIPAL_INACTIVE = Inactive

    PROJECT_READ_REQUIRED = Forbidden
    PROJECT_CREATE_REQUIRED = Forbidden
    PROJECT_UPDATE_REQUIRED = Forbidden
    PROJECT_TRANSFER_REQUIRED = Forbidden
    PROJECT_DELETE_REQUIRED = Forbidden
    MEMBER_MANAGE_REQUIRED = Forbidden
    RECORD_WRITE_REQUIRED = Forbidden
    SPACE_MANAGE_REQUIRED = Forbidden
    SPACE_CREATE_REQUIRED = Forbidden
    PRINCIPAL_MANAGE_REQUIRED = Forbidden
    CREDENTIAL_MANAGE_REQUIRED = Forbidden
    EVENT_READ_REQUIRED = Forbidden
    WEBHOOK_MANAGE_REQUIRED = Forbidden
    TENANT_UPDATE_REQUIRED = Forbidden
    CREDENTIAL_NARROWED = Forbidden
    MANAGER_REQUIRED = Forbidden
    ROLE_ABOVE_OWN = Forbidden
    NOT_AUTHOR = Forbidden
    ENROLMENT_REQUIRED = Forbidden
    ENROLMENT_ONLY = Forbidden

    ROUTE_NOT_FOUND = Refusal
    PROJECT_NOT_FOUND = NotFound
    SPACE_NOT_FOUND = NotFound
    MEMBER_NOT_FOUND = NotFound
    USER_NOT_FOUND = NotFound
    TASK_NOT_FOUND = NotFound
    NOTE_NOT_FOUND = NotFound
    DATASET_NOT_FOUND = NotFound
    EXPERIMENT_NOT_FOUND = NotFound
    DECISION_NOT_FOUND = NotFound
    PRINCIPAL_NOT_FOUND = NotFound
    EVENT_NOT_FOUND = NotFound
    CREDENTIAL_NOT_FOUND = NotFound
    WEBHOOK_NOT_FOUND = NotFound
    DELIVERY_NOT_FOUND = NotFound
    RECOVERY_NOT_FOUND = NotFound

    EVENTS_EXPIRED = Gone

    PRINCIPAL_SUSPENDED = Conflict
    LAST_OWNER = Conflict
    LAST_ADMIN = Conflict
    EMAIL_TAKEN = Conflict
    EXTERNAL_ID_TAKEN = Conflict
    TOO_MANY_SPACES = Conflict

    PROJECT_ARCHIVED = Archived
    NAMED_MANAGER = NamedManager
    ALREADY_MEMBER = Duplicate
    TOO_MANY_MEMBERS = Conflict
    TOO_MANY_CREDENTIALS = Conflict
    TOO_MANY_ISSUED = Conflict
    CREDENTIAL_ENDED = Conflict
    ROTATED_ALREADY = Conflict
    ENROLLED_ALREADY = Conflict
    NOTHING_TO_ROTATE = Conflict
    IDENTITY_REGISTERED = Duplicate
    SPACE_NOT_EMPTY = Conflict
    DEFAULT_SPACE = Conflict
    IS_MANAGER = Conflict
    TOO_MANY_WEBHOOKS = Conflict
    WEBHOOK_INACTIVE = Conflict
    WEBHOOK_TESTED_RECENTLY = Conflict
    RECOVERY_RUNNING = Conflict

    VERSION_MISMATCH = VersionRefused
    VERSION_IS_CURRENT = VersionRefused

    BODY_TOO_LARGE = TooLarge
    MEDIA_TYPE_UNSUPPORTED = WrongMediaType

    TOO_MANY_REQUESTS = Refusal
    TRY_AGAIN = Unavailable
    TIMED_OUT = Refusal
    INTERNAL_ERROR = Refusal
    REQUEST_REFUSED = Refusal

    def __new__(cls, kind: type[Refusal]) -> "Code":
        code = object.__new__(cls)
        # Members of one value would be one member, and many codes have the same kind.
        code._value_ = len(cls.__members__) + 1
        code.kind = kind
        return code

    @property
    def word(self) -> str:
        """As it is sent."""
        return self.name.lower()


def project_not_found() -> NotFound:
    return NotFound("Project not found.", Code.PROJECT_NOT_FOUND)


def not_a_member(field: str) -> Unfit:
    return Unfit(field, "not_a_member", "Must be a member of the project")
