"""Calls of the model and its answers; refusals with the status and message of each dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.model.fields import is_v1, spelled
from tests.model.state import Membership, Moment, Secret, Shown

# The version in an ETag that is a digest of the body.
DIGEST = "digest"


@dataclass(frozen=True)
class Call:
    """A request. `item` is the id of a record or the name of a member; a page starts behind the id `after`."""

    route: str
    by: str = "owner"
    space: str = ""
    project: str = ""
    item: str = ""
    note: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    body: Mapping[str, Any] | None = None
    if_match: str | None = None
    key: str | None = None

    @property
    def asked(self) -> tuple[Any, ...]:
        """The parts that must be equal when an Idempotency-Key is used again."""
        return self.space, self.project, self.item, self.note, self.query, self.body


@dataclass(frozen=True)
class Expected:
    """An answer. `etag` is the text between the quotes; a member's is preceded by the id of the `membership`. The next
    page starts behind the id `more`. An answer that `confirms` has no data of the project."""

    status: int
    body: Any = None
    etag: str | Shown | None = None
    membership: Membership | None = None
    more: str | None = None
    confirms: bool = False
    replayed: bool = False

    @property
    def recorded(self) -> "Expected":
        """The answer as it is kept: without the secret of a credential. That of a webhook is derived again."""
        has_secret = isinstance(self.body, dict) and isinstance(self.body.get("secret"), Secret)
        return replace(self, body=self.body | {"secret": None}) if has_secret else self


@dataclass(eq=False)
class Refused(Exception):
    """`at` and `type` are those in the detail of a 422; `flat` is the flat dialect's status if it differs."""

    status: int
    message: str
    flat: int | None = None
    at: tuple[str, ...] = ()
    type: str = ""

    def seen_by(self, route: str) -> Expected:
        loc = [*self.at[:-1], spelled(route, self.at[-1])] if self.at else []
        if is_v1(route):
            detail = [{"loc": loc, "msg": self.message, "type": self.type}] if loc else self.message
            return Expected(self.status, {"detail": detail})
        message = FLAT_WORDS.get(self.message, self.message)
        return Expected(self.flat or self.status, {"error": f"{loc[-1]}: {message}" if loc else message})


def invalid(name: str, message: str, type: str) -> Refused:
    return Refused(422, message, 400, ("body", name), type)


def not_found(what: str) -> Refused:
    return Refused(404, f"{what} not found.")


def inactive_webhook(status: str) -> Refused:
    return Refused(409, f"The webhook is {status}. Set its status to active first.")


def rotated_already(older_ends: Moment | None) -> Refused:
    message = (
        f"The secret before this one is good until {older_ends and older_ends.text}. Rotate after that, or with an "
        "overlap of 0 to end both at once."
    )
    return Refused(409, message)


NO_PROJECT = Refused(403, "You do not have access to this project.")
NO_SPACE = Refused(403, "You do not have access to this space.")
NOT_ADMIN = {
    "tenant:update": Refused(403, "You may not change this tenant."),
    "space:create": Refused(403, "You may not create or delete spaces."),
}
NOT_SPACE = Refused(403, "You may not change this space.")
LAST_OWNER = Refused(409, "This is the last owner of the space. Make another member an owner first.")
DEFAULT_SPACE = Refused(409, "The default space of a tenant cannot be deleted.")
NOT_EMPTY = Refused(409, "The space has projects. Delete them first.")
TWICE_IN_SPACE = Refused(409, "The principal is a member of the space already.")
NOT_RECORDS = Refused(403, "You may not change the records of this project.")
NOT_MEMBERS = Refused(403, "You may not manage the members of this project.")
NOT_PRINCIPALS = Refused(403, "You may not manage the principals of this tenant.")
NOT_CREDENTIALS = Refused(403, "You may not manage the credentials of other principals.")
NOT_TO_MAKE = Refused(403, "A person makes its own credentials. Issue one that enrols the person.")
NOT_TO_ROTATE = Refused(403, "A person rotates its own credentials. Issue one that enrols the person.")
CREDENTIAL_ENDED = Refused(409, "The credential has ended. Issue another one.")
TOO_MANY_CREDENTIALS = Refused(409, "A principal has at most 50 credentials that have not ended. Revoke one first.")
NOT_WEBHOOKS = Refused(403, "You may not manage the webhooks of this tenant.")
TOO_MANY_WEBHOOKS = Refused(409, "A tenant has at most 20 webhooks. Delete one first.")
TOO_MANY_OF_A_HOST = Refused(409, "A tenant has at most 3 webhooks at one host. Delete one of them first.")
TESTED_JUST_NOW = Refused(409, "The webhook was tested in the last minute. Wait a minute.")
RECOVERY_RUNS = Refused(409, "A recovery of this webhook is running. Wait for its end.")
EMAIL_TAKEN = Refused(409, "Another principal has this e-mail address.")
EXTERNAL_ID_TAKEN = Refused(409, "Another principal has this external id.")
LAST_ADMIN = Refused(409, "A tenant keeps one active admin.")
SUSPENDED = Refused(409, "The principal is suspended.")
ARCHIVED = Refused(409, "The project is archived. Set its status to active first.")
NAMED_MANAGER = Refused(409, "This member is the project's manager. Hand the project over first: PATCH its manager_id.")
TWICE = Refused(409, "The principal is a member of the project already.", 400)
# Messages with another text in the flat dialect.
FLAT_WORDS = {
    ARCHIVED.message: "The project is archived: it can be read and deleted, but not changed.",
    NAMED_MANAGER.message: "This user is the project's manager, who cannot be removed.",
    TWICE.message: "This user is a member of the project already.",
}
# The form in which the gateway refuses a credential.
INACTIVE = dict.fromkeys(("error", "detail"), "The principal of this credential is suspended or deleted.")
NOT_YET = Refused(412, "If-Match names a version, and what is not there yet has none. Leave it out.")
STALE = Refused(412, "If-Match names another version than the current one. Read it again.")
REUSED = Refused(
    422,
    "This Idempotency-Key was used for another request. Send a new one.",
    400,
    ("header", "Idempotency-Key"),
    "idempotency_key_reused",
)


def require(holds: object, otherwise: Refused) -> None:
    if not holds:
        raise otherwise
