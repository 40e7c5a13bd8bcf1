"""The random part of requests: bodies and queries by route, callers, faults, versions, places."""

from typing import Any

from hypothesis import strategies as st

from tests.model.fields import KINDS, NOT_BLANK, PHASES, STATUSES, UNFIT_URLS, is_v1
from tests.support.client import v1_id
from tests.support.faults import FAULTS
from tests.support.requests import PAGED

CALLERS = (*["owner"] * 6, *["contributor"] * 3, "viewer", *["outsider"] * 2, "stranger")
ADMINS = (*["owner"] * 8, "contributor", "viewer", "stranger")
MEMBERS = (*["contributor", "viewer", "outsider", "owner"] * 2, "unknown", "stranger")
PEOPLE = ("viewer", "outsider", "contributor", "owner", "stranger", "unknown")
NAMES = st.sampled_from(["Apollo", "Gemini", " Mercury ", "Vostok 1"])
TEXTS = st.sampled_from(["To the moon", "And back\nagain", '"ü" 🚀'])
DAYS = st.sampled_from(["2026-01-15", "2025-12-31"])
NOTHING = "f" * 24
NONE: st.SearchStrategy[Any] = st.none()

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES,
    "client": NAMES,
    "phase": st.sampled_from(PHASES),
    "status": st.sampled_from(STATUSES),
    "completed": st.booleans(),
    "assigned_to": NONE | st.sampled_from(MEMBERS),
    "estimated_hours": NONE | st.sampled_from([8, 2.5]),
    "priority": NONE | st.sampled_from(["high", "low"]),
    "deadline": NONE | DAYS,
    "acquisition_date": DAYS,
    "records": st.integers(0, 1000),
    "principal": st.sampled_from(MEMBERS),
    "role": st.sampled_from(["contributor", "viewer", "manager"] * 2 + ["owner", "none"]),
    "manager": st.sampled_from(MEMBERS),
    "email": st.sampled_from(["viewer@acme.example", "Outsider@Acme.example", "owner@globex.example", ""]),
}
PERSON = {
    "name": st.sampled_from(["Ada Lovelace", " Grace ", "Outsider of Acme"]),
    "kind": st.sampled_from(["user", "user", "service"]),
    "email": NONE | st.sampled_from(["ada@acme.example", "Grace@Acme.example", "viewer@acme.example", "b@c.example"]),
    "external_id": NONE | st.sampled_from(["00u1", "00u2", "00U1"]),
    "tenant_role": st.sampled_from([*["member"] * 5, "admin"]),
    "status": st.sampled_from([*["active"] * 4, "suspended"]),
}
# An end is drawn in days from the request, and sent as a time.
KEY = {
    "kind": st.sampled_from(["token", "api_key"]),
    "expires_at": st.sampled_from([5, 3, 1, 40, -1]),
    "enrol": st.booleans(),
    "permissions": NONE | st.sampled_from([["project:read"], ["project:read", "record:write"]]),
    "space_ids": NONE | st.just([v1_id(NOTHING)]),
    "project_ids": NONE | st.just([v1_id(NOTHING)]),
    "overlap_seconds": st.sampled_from([0, 3_600, 30 * 86_400]),
}
# The first host has room for none, the second one for one more, the third for two. A tenant has room for two.
URLS = st.sampled_from(
    [
        "https://a.example.com/hook",
        "https://b.example.com/hook?token=7Qz",
        "https://B.example.com:443",
        "https://c.example.com:8443/#top",
        "https://c.example.com/hook",
        "https://d.example.com/",
        "https://e.example.com/",
    ]
)
PLACES = NONE | st.sampled_from([[v1_id(NOTHING)], [v1_id("a" * 24), v1_id(NOTHING), v1_id("a" * 24)]])
# Moments are drawn in days from the request, and sent as times.
HOOK: dict[str, st.SearchStrategy[Any]] = {
    "url": URLS,
    "events": st.sampled_from([["*"], ["task.*", "project.created", "task.*"], ["webhook.rotated"]]),
    "space_ids": PLACES,
    "project_ids": PLACES,
    "description": TEXTS | st.just(""),
    "status": st.sampled_from(["active", "paused"]),
    "overlap_seconds": st.sampled_from([0, 3_600, 10 * 86_400]),
    "since": st.sampled_from([-0.5, -3.5, -3.5, 1.5]),
    "until": st.sampled_from([-1.5, 1.5]),
}
UNFIT = st.fixed_dictionaries({"url": st.sampled_from(sorted(UNFIT_URLS)), "events": HOOK["events"]})
PROJECT = {"description": NONE | TEXTS | st.fixed_dictionaries({"summary": TEXTS, "more": st.just([1, {}])})}


def body(required: tuple[str, ...], others: tuple[str, ...] = (), **own: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies with the fields; one in six has a mistake: a field is missing, blank or unknown."""
    known = {name: own.get(name, FIELDS.get(name, TEXTS)) for name in (*required, *others)}

    def spoilt(sent: dict[str, Any], mistake: str | None, place: int) -> dict[str, Any]:
        name = list(known)[place % len(known)]
        match mistake:
            case "missing":
                return {other: value for other, value in sent.items() if other != name}
            case "blank" if isinstance(sent.get(name), str) and name in (*NOT_BLANK, "phase"):
                return {**sent, name: " "}
            case "unknown":
                return {**sent, "colour": "red"}
        return sent

    good = st.fixed_dictionaries(
        {name: known[name] for name in required}, optional={name: known[name] for name in others}
    )
    mistakes = st.sampled_from([None] * 15 + ["missing", "blank", "unknown"])
    return st.builds(spoilt, good, mistakes, st.integers(0, 7))


def task_fields(route: str) -> tuple[str, ...]:
    """The optional fields of a task in a body; the flat dialect has separate routes for some of them."""
    taken = {"V1": (), "": ("completed",), "Update": ("status", "completed")}
    left_out = taken["V1" if is_v1(route) else "Update" if route.startswith("Update") else ""]
    return tuple(name for name in KINDS["task"][1] if name not in left_out)


REQUIRED_OF = {kind: required for kind, (required, _) in KINDS.items()}
# Bodies that may have more fields than the required ones.
BODIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "V1CreateProject": body(("name",), ("description",), **PROJECT),
    **dict.fromkeys(
        ("V1AddMember", "V1AddSpaceMember"),
        body(("principal", "role")) | body(("email", "role")) | body(("role",), ("principal", "email")),
    ),
    "V1UpdateTenant": body((), ("name",)),
    "V1CreateSpace": body(("name",), ("description", "owner"), owner=NONE | st.sampled_from(MEMBERS)),
    "V1UpdateSpace": body((), ("name", "description")),
    "V1UpdateProject": body(
        (), ("name", "description", "status", "manager"), status=st.sampled_from(["active", "archived"]), **PROJECT
    ),
    "V1CreatePrincipal": body(("name",), ("kind", "email", "external_id", "tenant_role"), **PERSON),
    "V1UpdatePrincipal": body((), ("name", "email", "external_id", "tenant_role", "status"), **PERSON),
    "V1CreateCredential": body(
        ("kind", "name"),
        ("expires_at", "enrol", "permissions", "space_ids", "project_ids"),
        **KEY | {"expires_at": NONE | KEY["expires_at"]},
    ),
    "V1UpdateCredential": body(("name",), ("expires_at",), **KEY) | body((), ("name", "expires_at"), **KEY),
    "V1RotateCredential": body((), ("overlap_seconds",), **KEY),
    "V1CreateWebhook": st.one_of(
        *[body(("url", "events"), ("space_ids", "project_ids", "description"), **HOOK)] * 5, UNFIT
    ),
    "V1UpdateWebhook": st.one_of(
        body(("url",), ("events", "description", "status"), **HOOK),
        body((), ("url", "events", "space_ids", "project_ids", "description", "status"), **HOOK),
        body(("status",), (), **HOOK),
    ),
    "V1RotateWebhook": body((), ("overlap_seconds",), **HOOK),
    "V1RecoverEvents": body(("since",), ("until",), **HOOK),
    "UpdateTask": body(("name", "description"), task_fields("UpdateTask")),
    "CreateTask": body(REQUIRED_OF["task"], task_fields("CreateTask")),
    "V1CreateTask": body(REQUIRED_OF["task"], task_fields("V1CreateTask")),
    "V1UpdateTask": body((), (*REQUIRED_OF["task"], *task_fields("V1UpdateTask"))),
}
for _kind in KINDS.keys() - {"task"}:
    _required, _others = KINDS[_kind]
    BODIES[f"Create{_kind.title()}"] = BODIES[f"V1Create{_kind.title()}"] = body(_required, tuple(_others))
    BODIES[f"V1Update{_kind.title()}"] = body((), (*_required, *_others))

LIMIT = {"limit": st.sampled_from([1, 2, 3])}
OF_A_PHASE = st.fixed_dictionaries({}, optional={**LIMIT, "phase": st.sampled_from(PHASES[:2])})
# Every list in pages has a limit; some have further parameters.
QUERIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    **dict.fromkeys(PAGED, st.fixed_dictionaries({}, optional=LIMIT)),
    "V1ListProjects": st.fixed_dictionaries({}, optional={**LIMIT, "status": st.sampled_from(["active", "archived"])}),
    "V1ListPrincipals": st.fixed_dictionaries(
        {},
        optional={
            **LIMIT,
            "kind": st.sampled_from(["user", "service"]),
            "status": st.sampled_from(["active", "suspended"]),
        },
    ),
    "V1DeleteCredential": st.fixed_dictionaries({}, optional={"issued": st.sampled_from(["true", "false"])}),
    "V1ListDeliveries": st.fixed_dictionaries(
        {},
        optional={
            **LIMIT,
            "status": st.sampled_from(["pending", "pending", "failed", "delivered"]),
            "since": st.sampled_from([-0.5, -3.5, 1.5]),
        },
    ),
    "SearchTeam": st.sampled_from(["ou", "of acme", "acme", "viewer@", "wer"]).map(lambda text: {"q": text}),
    **{f"V1List{kind.title()}s": OF_A_PHASE for kind in KINDS},
    **{f"List{kind.title()}s": OF_A_PHASE for kind in KINDS if kind != "task"},
}

# A call to the table may fail: a read, or the commit.
FAULT = st.none() | st.tuples(st.sampled_from(FAULTS), st.sampled_from(["read", "commit"]))
IF_MATCH = st.sampled_from([*[None] * 5, "now", "now", "*", "old"])
SELDOM = st.sampled_from([*[None] * 15, "now", "*"])
# Mostly the projects of the start; the third is archived.
WHICH = st.sampled_from([0, 0, 0, 1, 1, 1, *range(2, 8)])
STRAY = st.sampled_from([None] * 20 + ["project", "space", "item", "nothing"])
