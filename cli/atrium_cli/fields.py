"""The values that commands take: parameters of paths, fields of queries and of bodies, in the API's own words."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from atrium_cli.failures import Exit, Failure

# The ids of the roles, which are the same in every tenant and never change.
ROLES = {
    "viewer": "00000000-0000-8000-8000-000000000001",
    "contributor": "00000000-0000-8000-8000-000000000002",
    "manager": "00000000-0000-8000-8000-000000000003",
    "owner": "00000000-0000-8000-8000-000000000004",
}


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Field:
    """A field of a request. `name` is the API's, `options` are what it is called on the command line, none for an
    argument; `kind` is what the command line takes, `turn` makes of it what is sent."""

    name: str
    help: str
    options: tuple[str, ...] = ()
    kind: Any = str
    turn: Callable[[Any], Any] = _as_is
    required: bool = False
    # Whether the same words mean another value at another time.
    moves: bool = False

    @property
    def parameter(self) -> str:
        """The name of the parameter of a Python function."""
        return self.options[0].strip("-").replace("-", "_") if self.options else self.name

    def must(self) -> "Field":
        return replace(self, required=True)


def option(name: str, help: str, *options: str, **more: Any) -> Field:
    """A field that is an option, called as the field is where nothing else is said."""
    return Field(name, help, options or (f"--{name.replace('_', '-')}",), **more)


def argument(name: str, help: str) -> Field:
    return Field(name, help, required=True)


def or_null(text: str) -> str | None:
    return None if text == "null" else text


def _or_all(ids: list[str]) -> list[str] | None:
    return None if ids == ["null"] else ids


def _role(text: str) -> str:
    """The id of a role, which may be called by its name."""
    if text not in ROLES and not re.fullmatch("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text):
        raise Failure(Exit.USAGE, f"--role: there is no role {text}. There are {', '.join(ROLES)}.")
    return ROLES.get(text, text)


def _document(text: str) -> Any:
    """A text, or the JSON object that it is."""
    if not text.startswith("{"):
        return or_null(text)
    try:
        return json.loads(text)
    except ValueError as fault:
        raise Failure(Exit.USAGE, f"--description: {fault}.") from None


def _from_stdin(text: str) -> str:
    """A secret in a command line is in the list of processes."""
    return sys.stdin.readline().strip() if text == "-" else text


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")


# ---------------------------------------------------------------- parameters of paths

PARAMETERS = {
    "space_id": "The space's id.",
    "project_id": "The project's id.",
    "principal_id": "The principal's id, or the word me.",
    "member_id": "The member's principal_id.",
    "credential_id": "The credential's id.",
    "event_id": "The event's id.",
    "webhook_id": "The webhook's id.",
    "job_id": "The recovery's id, as recover prints it.",
}

# ---------------------------------------------------------------- fields of queries and bodies

NAME = argument("name", "The name.")
NEW_NAME = option("name", "Another name.")
TEXT = option("description", "The description; it may be empty.")
DOCUMENT = option("description", "The description: a text, or a JSON object.", turn=_document)
OWNER = option("owner_id", "The principal who owns it; null for no owner. By default you do.", turn=or_null)
PRINCIPAL = option("principal_id", "The principal's id.")
EMAIL = option("email", "The e-mail address.")
EMAIL_OR_NULL = option("email", "The e-mail address; null for none.", turn=or_null)
EXTERNAL_ID = option("external_id", "The name that another system has for it.")
EXTERNAL_ID_OR_NULL = replace(EXTERNAL_ID, help="The name that another system has for it; null for none.", turn=or_null)
ROLE = option(
    "role_id",
    "viewer, contributor, manager or owner (of spaces only); or a role's id.",
    "--role",
    "--role-id",
    turn=_role,
    required=True,
)
KIND = option("kind", "A person or a program.", kind=Literal["user", "service"])
STATUS = option("status", "Those with this status alone.", kind=Literal["active", "suspended"])
TENANT_ROLE = option("tenant_role", "An admin is a user.", kind=Literal["admin", "member"])
SOUGHT = option("q", "Whose e-mail address, or a word of whose name, begins so.")
PROJECT_STATUS = option("status", "archived, or active.", kind=Literal["active", "archived"])
MANAGER = option("manager_id", "Hands the project over to this member.")

CREDENTIAL_KIND = option(
    "kind", "A secret of Atrium's own, or an identity of the issuer.", kind=Literal["token", "api_key", "identity"]
)
PERMISSION = option("permissions", "Good for this permission alone; repeatable.", "--permission", kind=list[str])
IN_SPACE = option("space_ids", "Good in this space alone; repeatable.", "--space-id", "--space", kind=list[str])
IN_PROJECT = option(
    "project_ids", "Good in this project alone; repeatable.", "--project-id", "--project", kind=list[str]
)
EXPIRES_AT = option("expires_at", "When it ends: a day or a time, such as 2026-12-31.")
DAYS = option("expires_at", "In how many days it ends.", "--days", kind=int, turn=_in_days, moves=True)
ENROL = option("enrol", "Enrols a person, who rotates it.", kind=bool)
TOKEN = option("token", "For an identity: a valid access token of it; - for the first line of stdin.", turn=_from_stdin)
OVERLAP = option("overlap_seconds", "For so many seconds the older secret is good, too. By default a day.", kind=int)
ISSUED = option("issued", "What it issued ends, too.", kind=bool)

TYPE = option("type", "A type, or its beginning and a star, such as 'credential.*'; repeatable.", kind=list[str])
OF_PROJECT = option("project_id", "About this project alone.")
OF_SPACE = option("space_id", "About this space alone, and what is in it.")
ACTOR = option("actor_id", "What this principal did.")
SINCE = option("since", "Not before this day or time.")
UNTIL = option("until", "Before this day or time.")
ORDER = option("order", "Newest first (desc, the default), or oldest first.", kind=Literal["asc", "desc"])

URL = argument("url", "Where events are sent to: an https URL.")
NEW_URL = option("url", "Another URL.")
EVENT = option(
    "events",
    "A type such as task.created, all of a kind such as 'task.*', or '*' for all; repeatable.",
    "--event",
    kind=list[str],
)
EVENTS_IN_SPACE = option(
    "space_ids", "Events of this space alone; repeatable.", "--space-id", "--space", kind=list[str]
)
EVENTS_IN_PROJECT = option(
    "project_ids", "Events of this project alone; repeatable.", "--project-id", "--project", kind=list[str]
)
EVENTS_IN_SPACE_OR_ALL = replace(
    EVENTS_IN_SPACE, help="Events of this space alone; repeatable; null for all.", turn=_or_all
)
EVENTS_IN_PROJECT_OR_ALL = replace(
    EVENTS_IN_PROJECT, help="Events of this project alone; repeatable; null for all.", turn=_or_all
)
WEBHOOK_STATUS = option("status", "paused, or active.", kind=Literal["active", "paused"])
DELIVERY_STATUS = option("status", "Those with this status alone.", kind=Literal["pending", "delivered", "failed"])
