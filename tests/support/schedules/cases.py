"""The requests of cases, and what they are about."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.client import RECORDS, Transport, World, flat_id, flat_path
from tests.support.credentials import made, of
from tests.support.requests import BOT, EVENTS, FLAT, Request
from tests.support.requests import WRITES as OF_ALL_ROUTES

# Webhooks share no row with anything else but the tenant's admins; tests/races/test_webhooks.py has their races.
WRITES = {route: request for route, request in OF_ALL_ROUTES.items() if not EVENTS[route].startswith("webhook.")}


def _role(name: str, role: str) -> Callable[[World, str], Request]:
    return lambda w, p: ("PATCH", f"{p}/members/{w.uuid(name)}", {"role_id": w.role(role)})


def _remove(name: str) -> Callable[[World, str], Request]:
    return lambda w, p: ("DELETE", f"{p}/members/{w.uuid(name)}", None)


def _in_owned(method: str, name: str, role: str | None = None) -> Callable[[World, str], Request]:
    """A request to the list of the members of the space that is owned, or to one of them."""

    def request(world: World, _: str) -> Request:
        assert isinstance(world, Furnished)
        sent = {"role_id": world.role(role)} if role else None
        if method == "POST":
            return method, f"{world.owned()}/members", {"principal_id": world.uuid(name), **(sent or {})}
        return method, f"{world.owned()}/members/{world.uuid(name)}", sent

    return request


def _principal(method: str, name: str, body: Any = None) -> Callable[[World, str], Request]:
    return lambda w, _: (method, f"/v1/principals/{w.uuid(name)}", body)


def _credential(method: str, name: str, suffix: str = "", body: Any = None) -> Callable[[World, str], Request]:
    """A request to a credential that a world is furnished with."""
    return lambda w, _: (method, w.principal(name)["path"] + suffix, body)


def _issue(holder: str, ends: str | None = None, **more: Any) -> Callable[[World, str], Request]:
    body = {"kind": "token", "name": "New", **({"expires_at": ends} if ends else {}), **more}
    return lambda w, _: ("POST", of(w, holder), body)


# When the owner's credential `root` ends, and what it made, `child`; and an end before both.
_ROOT_ENDS, _CHILD_ENDS, _EARLIER = (f"20{year}-01-01T00:00:00.000Z" for year in (90, 85, 75))


def _whole(world: World, project: str) -> Request:
    """Sends back a project as the flat dialect shows it."""
    shown = world("GET", flat_path(project)).body
    return "PUT", flat_path(project), {name: shown[name] for name in FLAT}


# The writes of every route, those that race for a role, and those that set what is there. The project is named by its
# owner and has the contributor as another member with the role manager, and the viewer; Gemini has the outsider too, as
# a manager without a role in the space. There is a space that the contributor and the viewer own, too. Of credentials
# there are `root`, `child`, which root made, and the enrolment of the viewer, which root made, too; and a service, bot,
# with one of its own. The owner may have one more.
REQUESTS: dict[str, Callable[[World, str], Request]] = {
    **WRITES,
    "Rename": lambda w, p: ("PATCH", p, {"name": "Gemini"}),
    "Archive": lambda w, p: ("PATCH", p, {"status": "archived"}),
    "Unarchive": lambda w, p: ("PATCH", p, {"status": "active"}),
    "HandOver": lambda w, p: ("PATCH", p, {"manager_id": w.uuid("contributor")}),
    "HandOverToViewer": lambda w, p: ("PATCH", p, {"manager_id": w.uuid("viewer")}),
    "HandBack": lambda w, p: ("PATCH", p, {"manager_id": w.uuid("owner")}),
    "Demote": _role("contributor", "viewer"),
    "Remove": _remove("contributor"),
    "DemoteOwner": _role("owner", "viewer"),
    "RemoveOwner": _remove("owner"),
    "DemoteOutsider": _role("outsider", "viewer"),
    "RemoveOutsider": _remove("outsider"),
    "Assign": lambda w, p: ("PATCH", w.new_record(p, "tasks"), {"assigned_to": w.uuid("viewer")}),
    "NewSpace": lambda w, p: ("POST", "/v1/spaces", {"name": "Lab", "owner_id": w.uuid("outsider")}),
    "JoinOwned": _in_owned("POST", "outsider", "manager"),
    "DemoteInOwned": _in_owned("PATCH", "contributor", "viewer"),
    "DemoteOtherInOwned": _in_owned("PATCH", "viewer", "viewer"),
    "PromoteInOwned": _in_owned("PATCH", "contributor", "owner"),
    "RemoveFromOwned": _in_owned("DELETE", "contributor"),
    "RemoveOtherFromOwned": _in_owned("DELETE", "viewer"),
    "SameInOwned": _in_owned("PATCH", "viewer", "owner"),
    "SameTenant": lambda w, p: ("PATCH", "/v1/tenant", {"name": "Acme"}),
    "SameSpace": lambda w, p: ("PATCH", w.space(), {"name": "Acme"}),
    "Suspend": _principal("PATCH", "outsider", {"status": "suspended"}),
    "SuspendHeir": _principal("PATCH", "viewer", {"status": "suspended"}),
    "DemoteAdmin": _principal("PATCH", "owner", {"tenant_role": "member"}),
    "DemoteSecond": _principal("PATCH", "second", {"tenant_role": "member"}),
    "SuspendAdmin": _principal("PATCH", "owner", {"status": "suspended"}),
    "SuspendSecond": _principal("PATCH", "second", {"status": "suspended"}),
    "Email": lambda w, p: ("PATCH", w.new_principal(), {"email": "one@acme.example"}),
    "SameEmail": lambda w, p: ("POST", "/v1/principals", {**BOT, "email": "one@acme.example"}),
    "Issue": _issue("owner", _EARLIER),
    "IssueLong": _issue("owner", "2080-01-01T00:00:00.000Z"),
    "Enrol": _issue("viewer", enrol=True),
    "IssueToBot": _issue("bot", "2080-01-01T00:00:00.000Z"),
    "NameRoot": _credential("PATCH", "root", body={"name": "Other"}),
    "EndEarlier": _credential("PATCH", "root", body={"expires_at": _EARLIER}),
    "Rotate": _credential("POST", "root", "/rotate", {}),
    "Revoke": _credential("DELETE", "root"),
    "RevokeIssued": _credential("DELETE", "root", "?issued=true"),
    "RotateChild": _credential("POST", "child", "/rotate", {}),
    "RevokeChild": _credential("DELETE", "child"),
    "EndBot": _credential("PATCH", "bot", body={"expires_at": _EARLIER}),
    "RotateBot": _credential("POST", "bot", "/rotate", {}),
    "RevokeBot": _credential("DELETE", "bot"),
    **{
        f"Delete{name.title()}": _principal("DELETE", name)
        for name in ("second", "contributor", "viewer", "outsider", "bot")
    },
    "SuspendContributor": _principal("PATCH", "contributor", {"status": "suspended"}),
    "CreateInAttic": lambda w, p: ("POST", f"{w.new_space()}/projects", {"name": "Apollo"}),
    "JoinAttic": lambda w, p: (
        "POST",
        f"{w.new_space()}/members",
        {"principal_id": w.uuid("outsider"), "role_id": w.role("owner")},
    ),
    "RenameAttic": lambda w, p: ("PATCH", w.new_space(), {"name": "Cellar"}),
    "SuspendBot": _principal("PATCH", "bot", {"status": "suspended"}),
    "SameProject": lambda w, p: ("PATCH", p, {"status": "active", "manager_id": w.uuid("owner")}),
    "SameWholeProject": _whole,
    "SameMember": _role("viewer", "viewer"),
    "SameTask": lambda w, p: ("PATCH", w.new_record(p, "tasks"), RECORDS["tasks"]),
    "SameStatus": lambda w, p: ("POST", f"{flat_path(w.new_record(p, 'tasks'))}/status", {"status": "pending"}),
}


@dataclass(frozen=True)
class Sent:
    """A request as an actor sends it. `torn` is the item that its reads bring before (or after) the others, `shown` the
    item of its commit that is visible first; 0 for none. `sets` is its body: fields that a GET of `path` shows too, if
    it changes any."""

    request: str
    by: str
    key: str
    torn: int
    shown: int
    path: str
    sets: Mapping[str, Any]
    raw: tuple[str, str, list[tuple[str, str]], bytes]

    @property
    def name(self) -> tuple[str, str, str]:
        """What twins have in common."""
        return self.request, self.by, self.key


_REQUEST = re.compile(
    r"(?P<name>\w+)(@(?P<by>\w+))?(=(?P<key>\w*))?(?P<match>!)?(~(?P<torn>-?\d+))?(\^(?P<shown>-?\d+))?"
)


# The part behind the path of a thing: a query, or a field of a task in the flat dialect, or what is done with it.
_PART = re.compile(r"\?.*|/(status|phase|completed|reassign|rotate)$")

# How many credentials a principal may have at once in a schedule: those that the owner has, and one more.
MAX_LIVE = 7


class Furnished(World):
    """A world whose project has some of everything already, so that all requests are about the same records. Requests
    may be by a credential, too: `root`, `child` and `bot` are principals in `dev`, each with its `path`."""

    def __init__(self, send: Transport, dev: Mapping[str, Any]) -> None:
        super().__init__(send, dev)
        self._made: dict[tuple[str, str], str] = {}
        bot = self("POST", "/v1/principals", BOT).body["id"]
        self._add("bot", {"id": flat_id(bot), "principal_id": bot})
        self._credential("bot", "bot")
        self._credential("root", "owner", expires_at=_ROOT_ENDS)
        self._credential("child", "owner", by="root", expires_at=_CHILD_ENDS)
        made(self, "viewer", by="root", enrol=True)
        # No request of a schedule is then the first of the hour that notes the use of a credential.
        for name in self.dev["tenants"]["acme"]["principals"]:
            self("GET", "/v1/me", by=name)

    def _add(self, name: str, principal: Any) -> None:
        self.dev["tenants"]["acme"]["principals"][name] = principal

    def _credential(self, name: str, holder: str, **body: Any) -> None:
        """A credential of a principal that sends requests under a name of its own."""
        new = made(self, holder, kind="token", **body)
        self._add(name, {**self.principal(holder), "token": new["secret"], "path": new["path"]})

    def new_record(self, project: str, kind: str, **fields: Any) -> str:
        if (project, kind) not in self._made:
            self._made[project, kind] = super().new_record(project, kind, **fields)
        return self._made[project, kind]

    def new_space(self) -> str:
        if ("", "space") not in self._made:
            self._made["", "space"] = super().new_space()
        return self._made["", "space"]

    def owned(self) -> str:
        """The path of a space that the contributor and the viewer own, who are no admins."""
        if ("", "owned") not in self._made:
            made = self("POST", "/v1/spaces", {"name": "Owned", "owner_id": self.uuid("viewer")})
            self._made["", "owned"] = path = f"/v1/spaces/{made.body['id']}"
            owner = {"principal_id": self.uuid("contributor"), "role_id": self.role("owner")}
            assert self("POST", f"{path}/members", owner).status == 201
        return self._made["", "owned"]

    def new_principal(self) -> str:
        if ("", "principals") not in self._made:
            self._made["", "principals"] = super().new_principal()
        return self._made["", "principals"]

    def new_credential(self, holder: str, *, rotated: bool = False) -> str:
        """The rotated one is another."""
        kind = "rotated" if rotated else "credential"
        if (holder, kind) not in self._made:
            self._made[holder, kind] = super().new_credential(holder, rotated=rotated)
        return self._made[holder, kind]

    def new_note(self, task: str, content: str = "Remember", **options: Any) -> str:
        if (task, "notes") not in self._made:
            self._made[task, "notes"] = super().new_note(task, content, **options)
        return self._made[task, "notes"]


class Cases:
    """Turns the texts of cases into requests. Makes what they are about."""

    def __init__(self, world: World) -> None:
        self._captured: Any = None
        self._sends = world._send
        self._captures = False
        self.world = Furnished(self._send, world.dev)
        self.projects = {name: self._project(name) for name in ("Apollo", "Gemini")}
        self.requests = cache(self._requests)

    def _project(self, name: str) -> str:
        world = self.world
        path = world.new_project(name)
        world.new_member(path, "contributor", "manager")
        world.new_member(path, "viewer", "viewer")
        if name == "Gemini":
            world.new_member(path, "outsider", "manager")
        for request in REQUESTS.values():
            request(world, path)
        return path

    def _requests(self, case: str) -> list[Sent]:
        name, _, texts = case.partition("/")
        return [self._request(self.projects[name], number, text) for number, text in enumerate(texts.split(","))]

    def _request(self, project: str, number: int, text: str) -> Sent:
        found = _REQUEST.fullmatch(text)
        if found is None:
            raise ValueError(text)
        method, path, body = REQUESTS[found["name"]](self.world, project)
        key = f"key-{number}" if found["key"] is None else found["key"]
        subject = _PART.sub("", path)
        headers = {"If-Match": self.world("GET", subject).headers["etag"]} if found["match"] else {}
        by = found["by"] or "owner"
        self._captures = True
        try:
            self.world(method, path, body, by=by, key=key or None, headers=headers)
        finally:
            self._captures = False
        how = int(found["torn"] or 0), int(found["shown"] or 0)
        # A credential that was revoked before is as it should be.
        sets = {"status": "revoked"} if method == "DELETE" and "/credentials/" in path else body or {}
        return Sent(found["name"], self.world.id(by), key, *how, subject, sets, self._captured)

    def shows(self, sent: Sent) -> bool:
        """Whether a GET shows what a request sets, so that it has nothing to change."""
        if not sent.sets:
            return False
        answer = self.world("GET", sent.path)
        shown = answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
        return all(name in shown and shown[name] == value for name, value in sent.sets.items())

    def _send(self, *request: Any) -> Any:
        if not self._captures:
            return self._sends(*request)
        self._captured = request
        return 200, [], b""
