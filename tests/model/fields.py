"""The fields of bodies, their names on the wire, and the roles with their permissions."""

import re
from typing import Any

ROLES = ("viewer", "contributor", "manager", "owner")
# The weakest role with each permission.
PERMISSIONS = {
    "project:read": "viewer",
    "member:read": "viewer",
    "project:create": "contributor",
    "project:update": "contributor",
    "record:write": "contributor",
    "member:manage": "manager",
    "project:delete": "manager",
    "project:transfer": "manager",
    "space:manage": "owner",
}
PHASES = ("business", "data_understanding", "data_preparation", "modeling", "evaluation", "deployment")
STATUSES = ("pending", "onHold", "inProgress", "underReview", "completed")
STALLED = ("onHold", "inProgress", "underReview")
# For each kind: the required fields, and the optional ones with their defaults.
KINDS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "task": (
        ("name", "description", "phase"),
        {"status": "pending", "completed": False, "assigned_to": None}
        | dict.fromkeys(("estimated_hours", "priority", "deadline")),
    ),
    "dataset": (("name", "source", "description", "acquisition_date", "phase"), {"records": 0}),
    "experiment": (("name", "algorithm_model", "parameters", "metric", "result", "conclusion", "phase"), {}),
    "decision": (("description", "justification", "phase"), {"alternatives": ""}),
}
# The required fields of a body, by route.
REQUIRED: dict[str, tuple[str, ...]] = {
    "CreateProject": ("name", "client", "description"),
    "UpdateProject": ("name", "client", "description"),
    "V1CreateProject": ("name",),
    "V1AddMember": ("role",),
    "V1UpdateMember": ("role",),
    "V1CreateSpace": ("name",),
    "V1AddSpaceMember": ("role",),
    "V1UpdateSpaceMember": ("role",),
    "V1CreatePrincipal": ("name",),
    "V1CreateCredential": ("kind", "name"),
    "V1CreateWebhook": ("url", "events"),
    "V1RecoverEvents": ("since",),
    "AddTeamMember": ("principal",),
    "FindTeamMember": ("email",),
    "UpdateTask": ("name", "description"),
    "SetTaskStatus": ("status",),
    "SetTaskPhase": ("phase",),
    "ReassignTask": ("assigned_to",),
    "AddTaskNote": ("content",),
    "V1AddTaskNote": ("content",),
    **{f"{dialect}Create{kind.title()}": fields for kind, (fields, _) in KINDS.items() for dialect in ("", "V1")},
}
# The known fields of a body, by route of v1. An update of a record knows the fields of its creation.
KNOWN: dict[str, tuple[str, ...]] = {
    "V1CreateProject": ("name", "description"),
    "V1UpdateProject": ("name", "description", "status", "manager"),
    "V1AddMember": ("principal", "email", "role"),
    "V1UpdateMember": ("role",),
    "V1UpdateTenant": ("name",),
    "V1CreateSpace": ("name", "description", "owner"),
    "V1UpdateSpace": ("name", "description"),
    "V1AddSpaceMember": ("principal", "email", "role"),
    "V1UpdateSpaceMember": ("role",),
    "V1CreatePrincipal": ("name", "kind", "email", "external_id", "tenant_role"),
    "V1UpdatePrincipal": ("name", "email", "external_id", "tenant_role", "status"),
    "V1CreateCredential": ("kind", "name", "expires_at", "permissions", "space_ids", "project_ids", "enrol", "token"),
    "V1UpdateCredential": ("name", "expires_at"),
    "V1RotateCredential": ("overlap_seconds",),
    "V1CreateWebhook": ("url", "events", "space_ids", "project_ids", "description"),
    "V1UpdateWebhook": ("url", "events", "space_ids", "project_ids", "description", "status"),
    "V1RotateWebhook": ("overlap_seconds",),
    "V1RecoverEvents": ("since", "until"),
    "V1AddTaskNote": ("content",),
    **{
        f"V1{does}{kind.title()}": (*fields, *more)
        for kind, (fields, more) in KINDS.items()
        for does in ("Create", "Update")
    },
}
# Fields whose empty text passes the check of the body. The flat dialect checks some after reading the project, since a
# client may send back a stored value; v1 accepts any description.
JUDGED_LATE = {("UpdateProject", "client"), ("UpdateProject", "description"), ("FindTeamMember", "email")} | {
    ("V1CreateProject", "description"),
    ("V1UpdateProject", "description"),
    ("V1CreateSpace", "description"),
    ("V1UpdateSpace", "description"),
    ("V1CreateWebhook", "description"),
    ("V1UpdateWebhook", "description"),
}
# URLs to which nothing is delivered, and why.
UNFIT_URLS = {
    "http://a.example.com/": "Must be a URL that begins with https://",
    "https://a.example.com:444/": "The port must be 443 or 8443",
    "https://10.0.0.1/": "The host's address must be public",
}
# Texts that must not be blank, required or optional.
NOT_BLANK = {"name", "client", "description", "source", "content", "justification", *KINDS["experiment"][0]} - {"phase"}


def is_v1(route: str) -> bool:
    return route.startswith("V1")


def spelled(route: str, name: str) -> str:
    """A field's name on the wire."""
    if is_v1(route):
        named = {"principal": "principal_id", "role": "role_id", "manager": "manager_id", "owner": "owner_id"}
        return named.get(name, name)
    if "Project" in route:
        return {"name": "projectName", "client": "clientName"}.get(name, name)
    return {"principal": "id"}.get(name, camel(name))


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def rank_of(role: str | None) -> int:
    return ROLES.index(role) + 1 if role else 0


def may(rank: int, permission: str) -> bool:
    return rank >= rank_of(PERMISSIONS[permission])
