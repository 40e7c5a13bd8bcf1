"""The table of commands. Each is a request; app.py makes the command line of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atrium_cli import fields as f
from atrium_cli import showing
from atrium_cli.fields import Field
from atrium_cli.showing import Column

# The help of each group of commands.
GROUPS: Mapping[str, str] = {
    "tenant": "The tenant.",
    "spaces": "Spaces, and their members.",
    "spaces members": "The members of a space, and their roles in it.",
    "principals": "People and programs of the tenant.",
    "credentials": "The tokens, keys and identities of a principal.",
    "projects": "Projects of a space, and their members.",
    "projects members": "The members of a project, and their roles in it.",
    "events": "Who changed what, and when: the newest first, or as it happens (--follow).",
    "webhooks": "URLs that events are sent to, and what became of each delivery.",
}


# The fields of what commands answer, by the words of a command or else of its group.
_DATES = ("created_at", "updated_at")
_ME = ("principal_id", "id", "tenant_id", "kind", "name", "email", "tenant_role", "spaces", "credential")
_CREDENTIAL_FIELDS = (
    *("id", "kind", "name", "hint", "permissions", "space_ids", "project_ids", "enrol", "issued_by", "created_at"),
    *("expires_at", "last_used_at", "status"),
)
_PROJECT_FIELDS = ("id", "tenant_id", "space_id", "name", "manager_id", "created_by", "status", *_DATES)
_WEBHOOK_FIELDS = (
    *("id", "tenant_id", "url", "events", "space_ids", "project_ids", "description", "status", "health"),
    *("secret_version", "previous_secret_expires_at", *_DATES),
)
_DELIVERY_FIELDS = (
    *("event_id", "type", "status", "attempts", "next_attempt_at", "last_status", "last_error", "created_at"),
)
_RECOVERY_FIELDS = (
    *("id", "webhook_id", "since", "until", "status", "total", "done", "recovered", "created_at", "finished_at"),
)
_ANSWERS: Mapping[str, Sequence[str]] = {
    "me": _ME,
    "whoami": _ME,
    "tenant": ("id", "name", *_DATES),
    "spaces": ("id", "tenant_id", "name", "description", *_DATES),
    "spaces members": ("tenant_id", "space_id", "principal_id", "role_id", *_DATES),
    "principals": (
        *("id", "tenant_id", "kind", "name", "email", "external_id", "tenant_role", "status"),
        *_DATES,
    ),
    "principals projects": ("project_id", "space_id", "name", "role_id", "is_manager"),
    "credentials": _CREDENTIAL_FIELDS,
    "credentials create": (*_CREDENTIAL_FIELDS, "secret"),
    "credentials rotate": (*_CREDENTIAL_FIELDS, "secret", "previous_expires_at"),
    "projects": (*_PROJECT_FIELDS, "description"),
    "projects list": _PROJECT_FIELDS,
    "projects members": ("tenant_id", "project_id", "principal_id", "role_id", "status", *_DATES),
    "events": (
        *("id", "type", "time", "tenant_id", "space_id", "project_id", "principal_id", "sequence", "request_id"),
        *("actor", "resource", "changed", "omitted"),
    ),
    "webhooks": _WEBHOOK_FIELDS,
    "webhooks create": (*_WEBHOOK_FIELDS, "secret"),
    "webhooks rotate": (*_WEBHOOK_FIELDS, "secret"),
    "webhooks test": _DELIVERY_FIELDS,
    "webhooks deliveries": _DELIVERY_FIELDS,
    "webhooks delivery": _DELIVERY_FIELDS,
    "webhooks redeliver": _DELIVERY_FIELDS,
    "webhooks recover": _RECOVERY_FIELDS,
    "webhooks recovery": _RECOVERY_FIELDS,
}


# Commands that are no change or deletion by their methods, and yet are about one thing that is there.
_POSTS_ABOUT_ONE = {
    *("credentials rotate", "webhooks rotate", "webhooks test", "webhooks redeliver", "webhooks recover"),
}


@dataclass(frozen=True)
class Command:
    """A request. `takes` has what the command line takes besides the parameters of the path; `also` fields of the body
    that are always the same. A list has `columns`; what is answered without content has `done`."""

    words: str
    method: str
    path: str
    help: str
    takes: Sequence[Field] = ()
    examples: Sequence[str] = ()
    also: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[Column] = ()
    done: str = ""
    # Of a list, how many entries are shown by default; None for all.
    limit: int | None = None
    # Whether the answer has a secret, whether it can be followed, whether its group's name alone means it.
    has_secret: bool = False
    follows: bool = False
    default: bool = False
    # The question before it is done, at a terminal; and the one where its principal is the word me.
    asks: str = ""
    asks_of_me: str = ""

    @property
    def group(self) -> str:
        return self.words.rpartition(" ")[0]

    @property
    def answers(self) -> Sequence[str]:
        """The fields of its answer, of a list those of an entry; some are there at times only."""
        return () if self.done else _ANSWERS[self.words if self.words in _ANSWERS else self.group]

    @property
    def is_list(self) -> bool:
        return bool(self.columns)

    @property
    def writes(self) -> bool:
        return self.method != "GET"

    @property
    def changes(self) -> bool:
        """Whether it is about one thing that is there, and so takes If-Match."""
        return self.method in ("PATCH", "DELETE") or self.words in _POSTS_ABOUT_ONE


_SPACE = "/v1/spaces/{space_id}"
_PROJECTS = f"{_SPACE}/projects"
_PROJECT = f"{_PROJECTS}/{{project_id}}"
_PRINCIPAL = "/v1/principals/{principal_id}"
_CREDENTIALS = f"{_PRINCIPAL}/credentials"
_CREDENTIAL = f"{_CREDENTIALS}/{{credential_id}}"
_WEBHOOK = "/v1/webhooks/{webhook_id}"


def _members(group: str, of: str, columns: Sequence[Column]) -> list[Command]:
    """The members of a space or of a project."""
    names = "SPACE_ID PROJECT_ID" if "project_id" in of else "SPACE_ID"
    what = "project" if "project_id" in of else "space"
    path, start = f"{of}/members", f"atrium {group}"
    return [
        Command(
            f"{group} list", "GET", path, "Lists the members.", columns=columns, examples=[f"{start} list {names}"]
        ),
        Command(
            f"{group} show",
            "GET",
            f"{path}/{{member_id}}",
            "Shows a member.",
            examples=[f"{start} show {names} MEMBER_ID"],
        ),
        Command(
            f"{group} add",
            "POST",
            path,
            f"Gives a principal a role in the {what}: by its id, or by its e-mail address.",
            (f.PRINCIPAL, f.EMAIL, f.ROLE),
            [f"{start} add {names} --email ada@acme.example --role contributor"],
        ),
        Command(
            f"{group} set",
            "PATCH",
            f"{path}/{{member_id}}",
            "Gives a member another role.",
            (f.ROLE,),
            [f"{start} set {names} MEMBER_ID --role manager"],
        ),
        Command(
            f"{group} remove",
            "DELETE",
            f"{path}/{{member_id}}",
            f"Takes a member out of the {what}.",
            done="Removed.",
            examples=[f"{start} remove {names} MEMBER_ID"],
        ),
    ]


COMMANDS: Sequence[Command] = (
    Command(
        "me",
        "GET",
        "/v1/me",
        "Shows who you are, your spaces, and the credential that you send.",
        examples=["atrium me"],
    ),
    Command("whoami", "GET", "/v1/me", "The same as me.", examples=["atrium whoami --json"]),
    Command("tenant show", "GET", "/v1/tenant", "Shows the tenant.", examples=["atrium tenant"], default=True),
    Command(
        "tenant update",
        "PATCH",
        "/v1/tenant",
        "Renames the tenant.",
        (f.NEW_NAME,),
        ['atrium tenant update --name "Acme Corp"'],
    ),
    # ------------------------------------------------------------ spaces
    Command(
        "spaces list",
        "GET",
        "/v1/spaces",
        "Lists your spaces; an admin's are all of the tenant.",
        columns=showing.SPACES,
        examples=["atrium spaces list", "atrium spaces list --json"],
    ),
    Command(
        "spaces create",
        "POST",
        "/v1/spaces",
        "Makes a space.",
        (f.NAME, f.TEXT, f.OWNER),
        ['atrium spaces create Research --description "What may come of it in two years."'],
    ),
    Command("spaces show", "GET", _SPACE, "Shows a space.", examples=["atrium spaces show SPACE_ID"]),
    Command(
        "spaces update",
        "PATCH",
        _SPACE,
        "Changes a space's name or description.",
        (f.NEW_NAME, f.TEXT),
        ["atrium spaces update SPACE_ID --name Laboratory"],
    ),
    Command(
        "spaces delete",
        "DELETE",
        _SPACE,
        "Deletes a space that has no projects.",
        done="Deleted.",
        examples=["atrium spaces delete SPACE_ID"],
        asks="Delete this space for ever?",
    ),
    *_members("spaces members", _SPACE, showing.SPACE_MEMBERS),
    # ------------------------------------------------------------ principals
    Command(
        "principals list",
        "GET",
        "/v1/principals",
        "Lists people and programs, or searches them.",
        (f.SOUGHT, f.KIND, f.STATUS, f.EXTERNAL_ID),
        ["atrium principals list --q ada", "atrium principals list --kind service --status active"],
        columns=showing.PRINCIPALS,
    ),
    Command(
        "principals create",
        "POST",
        "/v1/principals",
        "Makes a person, or with --kind service a program.",
        (f.NAME, f.KIND, f.EMAIL, f.EXTERNAL_ID, f.TENANT_ROLE),
        [
            'atrium principals create "Ada Lovelace" --email ada@acme.example',
            'atrium principals create "CI of the website" --kind service',
        ],
    ),
    Command(
        "principals show",
        "GET",
        _PRINCIPAL,
        "Shows a person or a program.",
        examples=["atrium principals show PRINCIPAL_ID"],
    ),
    Command(
        "principals update",
        "PATCH",
        _PRINCIPAL,
        "Changes a name, an address, or the role in the tenant.",
        (f.NEW_NAME, f.EMAIL_OR_NULL, f.EXTERNAL_ID_OR_NULL, f.TENANT_ROLE),
        ["atrium principals update PRINCIPAL_ID --tenant-role admin"],
    ),
    Command(
        "principals suspend",
        "PATCH",
        _PRINCIPAL,
        "Refuses a principal from its next request on. It keeps its roles.",
        also={"status": "suspended"},
        examples=["atrium principals suspend PRINCIPAL_ID"],
        asks_of_me="Suspend yourself? Only another admin can let you in again.",
    ),
    Command(
        "principals resume",
        "PATCH",
        _PRINCIPAL,
        "Lets a suspended principal in again.",
        also={"status": "active"},
        examples=["atrium principals resume PRINCIPAL_ID"],
    ),
    Command(
        "principals delete",
        "DELETE",
        _PRINCIPAL,
        "Deletes a principal, with its credentials, for ever.",
        done="Deleted.",
        examples=["atrium principals delete PRINCIPAL_ID"],
        asks="Delete this principal and its credentials for ever?",
        asks_of_me="Delete yourself and your credentials for ever?",
    ),
    Command(
        "principals projects",
        "GET",
        f"{_PRINCIPAL}/projects",
        "Lists the projects that a principal is a member of.",
        columns=showing.PRINCIPAL_PROJECTS,
        examples=["atrium principals projects me"],
    ),
    # ------------------------------------------------------------ credentials
    Command(
        "credentials list",
        "GET",
        _CREDENTIALS,
        "Lists a principal's credentials, those that have ended too.",
        columns=showing.CREDENTIALS,
        examples=["atrium credentials list me"],
    ),
    Command(
        "credentials create",
        "POST",
        _CREDENTIALS,
        "Makes a credential. Its secret is in this answer alone.",
        (
            *(f.CREDENTIAL_KIND.must(), f.option("name", "A name to tell it from others.").must()),
            *(f.PERMISSION, f.IN_SPACE, f.IN_PROJECT, f.EXPIRES_AT, f.DAYS, f.ENROL, f.TOKEN),
        ),
        [
            "atrium credentials create PRINCIPAL_ID --kind token --name Laptop --enrol",
            "atrium credentials create PRINCIPAL_ID --kind api_key --name CI --permission project:read --days 90",
            "SECRET=$(atrium credentials create me --kind api_key --name Backup --only secret)",
        ],
        has_secret=True,
    ),
    Command(
        "credentials show",
        "GET",
        _CREDENTIAL,
        "Shows a credential, without its secret.",
        examples=["atrium credentials show PRINCIPAL_ID CREDENTIAL_ID"],
    ),
    Command(
        "credentials update",
        "PATCH",
        _CREDENTIAL,
        "Renames a credential, or ends it earlier.",
        (f.NEW_NAME, f.EXPIRES_AT, f.DAYS),
        ["atrium credentials update PRINCIPAL_ID CREDENTIAL_ID --days 7"],
    ),
    Command(
        "credentials rotate",
        "POST",
        f"{_CREDENTIAL}/rotate",
        "Gives a credential another secret. The older one ends after the overlap.",
        (f.OVERLAP,),
        ["atrium credentials rotate PRINCIPAL_ID CREDENTIAL_ID --overlap-seconds 3600"],
        has_secret=True,
    ),
    Command(
        "credentials revoke",
        "DELETE",
        _CREDENTIAL,
        "Ends a credential within 30 seconds, for ever.",
        (f.ISSUED,),
        ["atrium credentials revoke PRINCIPAL_ID CREDENTIAL_ID --issued"],
        done="Revoked.",
    ),
    # ------------------------------------------------------------ projects
    Command(
        "projects list",
        "GET",
        _PROJECTS,
        "Lists the projects of a space.",
        (f.PROJECT_STATUS,),
        ["atrium projects list SPACE_ID --status active"],
        columns=showing.PROJECTS,
    ),
    Command(
        "projects create",
        "POST",
        _PROJECTS,
        "Makes a project, which you manage.",
        (f.NAME, f.DOCUMENT),
        ['atrium projects create SPACE_ID "Website Redesign Q3"'],
    ),
    Command(
        "projects show", "GET", _PROJECT, "Shows a project.", examples=["atrium projects show SPACE_ID PROJECT_ID"]
    ),
    Command(
        "projects update",
        "PATCH",
        _PROJECT,
        "Changes a project, archives it, or hands it over.",
        (f.NEW_NAME, f.DOCUMENT, f.PROJECT_STATUS, f.MANAGER),
        ["atrium projects update SPACE_ID PROJECT_ID --status archived"],
    ),
    Command(
        "projects delete",
        "DELETE",
        _PROJECT,
        "Deletes a project, with all that is in it, for ever.",
        done="Deleted.",
        examples=["atrium projects delete SPACE_ID PROJECT_ID"],
        asks="Delete this project and all that is in it for ever?",
    ),
    *_members("projects members", _PROJECT, showing.MEMBERS),
    # ------------------------------------------------------------ events
    Command(
        "events list",
        "GET",
        "/v1/events",
        "Lists what was changed, by whom; or follows what is being changed.",
        (f.TYPE, f.OF_PROJECT, f.OF_SPACE, f.ACTOR, f.SINCE, f.UNTIL, f.ORDER),
        [
            "atrium events --actor-id PRINCIPAL_ID --limit 50",
            "atrium events --type 'credential.*' --type 'principal.*' --since 2026-11-01",
            "atrium events --follow --json >> events.ndjson",
        ],
        columns=showing.EVENTS,
        limit=20,
        follows=True,
        default=True,
    ),
    Command("events show", "GET", "/v1/events/{event_id}", "Shows an event.", examples=["atrium events show EVENT_ID"]),
    # ------------------------------------------------------------ webhooks
    Command(
        "webhooks list",
        "GET",
        "/v1/webhooks",
        "Lists webhooks.",
        columns=showing.WEBHOOKS,
        examples=["atrium webhooks list"],
    ),
    Command(
        "webhooks create",
        "POST",
        "/v1/webhooks",
        "Makes a webhook. Its secret verifies what it is sent.",
        (f.URL, f.EVENT.must(), f.EVENTS_IN_SPACE, f.EVENTS_IN_PROJECT, f.TEXT),
        [
            "atrium webhooks create https://hooks.acme.example/atrium --event 'project.*' --event task.created",
            "SECRET=$(atrium webhooks create https://hooks.acme.example/all --event '*' --only secret)",
        ],
        has_secret=True,
    ),
    Command(
        "webhooks show",
        "GET",
        _WEBHOOK,
        "Shows a webhook, without its secret.",
        examples=["atrium webhooks show WEBHOOK_ID"],
    ),
    Command(
        "webhooks update",
        "PATCH",
        _WEBHOOK,
        "Changes a webhook, pauses it, or makes it active again.",
        (
            *(f.NEW_URL, f.EVENT, f.EVENTS_IN_SPACE_OR_ALL, f.EVENTS_IN_PROJECT_OR_ALL, f.TEXT),
            f.WEBHOOK_STATUS,
        ),
        [
            "atrium webhooks update WEBHOOK_ID --status paused",
            "atrium webhooks update WEBHOOK_ID --event '*' --space-id null",
        ],
    ),
    Command(
        "webhooks delete",
        "DELETE",
        _WEBHOOK,
        "Deletes a webhook. Nothing is sent to it any more.",
        done="Deleted.",
        examples=["atrium webhooks delete WEBHOOK_ID"],
        asks="Delete this webhook and its deliveries for ever?",
    ),
    Command(
        "webhooks rotate",
        "POST",
        f"{_WEBHOOK}/rotate",
        "Gives a webhook another secret. In the overlap both sign.",
        (f.OVERLAP,),
        ["SECRET=$(atrium webhooks rotate WEBHOOK_ID --overlap-seconds 3600 --only secret)"],
        has_secret=True,
    ),
    Command(
        "webhooks test",
        "POST",
        f"{_WEBHOOK}/test",
        "Sends a webhook an event of its own; at most once a minute.",
        examples=["atrium webhooks test WEBHOOK_ID --only event_id"],
    ),
    Command(
        "webhooks deliveries",
        "GET",
        f"{_WEBHOOK}/deliveries",
        "Lists what was sent to a webhook, or is to be; the latest event first.",
        (f.DELIVERY_STATUS, f.SINCE),
        ["atrium webhooks deliveries WEBHOOK_ID --status failed --since 2026-11-01"],
        columns=showing.DELIVERIES,
        limit=20,
    ),
    Command(
        "webhooks delivery",
        "GET",
        f"{_WEBHOOK}/deliveries/{{event_id}}",
        "Shows a delivery.",
        examples=["atrium webhooks delivery WEBHOOK_ID EVENT_ID"],
    ),
    Command(
        "webhooks redeliver",
        "POST",
        f"{_WEBHOOK}/deliveries/{{event_id}}/redeliver",
        "Sends an event once more, under the same id.",
        examples=["atrium webhooks redeliver WEBHOOK_ID EVENT_ID"],
    ),
    Command(
        "webhooks recover",
        "POST",
        f"{_WEBHOOK}/recover",
        "Sends what a webhook has missed in a span of time.",
        (f.SINCE.must(), f.UNTIL),
        ["atrium webhooks recover WEBHOOK_ID --since 2026-11-26T08:00:00Z --only id"],
    ),
    Command(
        "webhooks recovery",
        "GET",
        f"{_WEBHOOK}/recoveries/{{job_id}}",
        "Shows how far a recovery is.",
        examples=["atrium webhooks recovery WEBHOOK_ID JOB_ID"],
    ),
)
