"""The status of every route for every kind of caller, and the rules behind it."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from atrium.permissions import Role
from local.functions import call
from local.issuer import AUDIENCE, ISSUER, Issuer
from local.template import ROOT, Template
from tests.support.client import Answer, World, flat_path, v1_id
from tests.support.matrix import CALLERS, CREDENTIALED, MATRIX, STATED, STATEMENT, row_of
from tests.support.requests import EVERY_ROUTE, copied
from tests.support.routes import routes
from tests.support.world import Count, inline
from tools import routes as declared


def test_every_route_has_a_row(template: Template) -> None:
    without = {row_of(route) for route in CREDENTIALED if row_of(route) not in STATED}
    assert not without, (
        f"No row of {STATEMENT.relative_to(ROOT)} is about the permissions {sorted(without)}, which a route declares. "
        'Add a row for each to its table "By permission": the status that each kind of caller gets, "yes" for success. '
        "If only one route is meant to be different, declare the permission of its siblings and give it a row of its "
        'own, `METHOD /path`, in the table "Routes that deviate".'
    )
    unused = set(STATED) - {row_of(route) for route in CREDENTIALED}
    assert not unused, f"No route takes its statuses from the rows {sorted(unused)}. Take them out of {STATEMENT.name}."
    assert set(MATRIX) == set(routes(template).values())


def test_row_of_a_deviating_route_differs_from_its_permission() -> None:
    for route in CREDENTIALED:
        usual = STATED.get(route.permission or "none")
        if row_of(route) != (route.permission or "none") and usual is not None:
            assert STATED[row_of(route)] != usual, f"{row_of(route)}: the row of {route.permission} says the same"


# The callers who are not there from the start: the space that each has a role in.
MADE = {
    "no role": {},
    "admin": {},
    "expired": {"default": "owner"},
    "revoked": {"default": "owner"},
    "suspended": {"default": "owner"},
    "deleted": {"default": "owner"},
    "owner elsewhere": {"research": "owner"},
    **{f"space {role}": {"default": role} for role in ("viewer", "contributor", "manager", "owner")},
    **{f"project {role}": {} for role in ("viewer", "contributor", "manager")},
}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def people(
    template: Template, engine: str, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world with all callers in it."""
    taking = Template(JwtIssuer=ISSUER, JwtAudience=AUDIENCE, JwtJwks=issuer.jwks)
    with inline(taking, engine, tmp_path_factory.mktemp("people"), call) as made:
        populate(made, taking)
        made.lab = made.space()
        yield made


def populate(world: World, template: Template) -> None:
    acme = world.dev["tenants"]["acme"]
    credentials = {
        "expired": {"kind": "key", "expires_at": "2020-01-01T00:00:00Z"},
        "revoked": {"kind": "key"},
    }
    principals = [
        {
            "name": name,
            "email": f"{name.replace(' ', '.')}@acme.example",
            "tenant_role": "admin" if name in ("admin", "suspended", "deleted") else "member",
            "roles": {acme["spaces"][space]: role for space, role in roles.items()},
            "credentials": [credentials.get(name, {"kind": "token"})],
        }
        for name, roles in MADE.items()
    ]
    made: list[Any] = []
    for first in range(0, len(principals), 5):  # one transaction holds no more
        some = principals[first : first + 5]
        request = {"request_token": f"callers-{first}", "tenant_id": acme["tenant_id"], "principals": some}
        made += call(template.functions["Provision"], request)["principals"]
    for name, person in zip(MADE, made, strict=True):
        secret = person["credentials"][0]["secret"]
        acme["principals"][name] = {**person, "token": secret, "api_key": secret}
    holder = {"tenant_id": acme["tenant_id"], "principal_id": world.uuid("revoked")}
    (found,) = call(template.functions["ListCredentials"], holder)["credentials"]
    call(template.functions["RevokeCredential"], {**holder, "credential_id": found["credential_id"]})
    assert world("PATCH", f"/v1/principals/{world.uuid('suspended')}", {"status": "suspended"}).status == 200
    assert world("DELETE", f"/v1/principals/{world.uuid('deleted')}").status == 204


def furnished(world: World) -> str:
    """A project in which those callers who have a role in projects have it."""
    members = {f"project {role}": role for role in ("viewer", "contributor", "manager")}
    return copied(world, {"contributor": "contributor", "viewer": "viewer", **members})


Requests = dict[str, tuple[str, str, Any]]


@pytest.fixture(scope="module")
def requests(people: World) -> Requests:
    """A request to each route, all about one project: for callers whose request changes nothing."""
    project = furnished(people)
    return {name: request(people, project) for name, request in EVERY_ROUTE.items()}


@pytest.mark.parametrize("caller", CALLERS)
def test_statuses_by_caller(
    people: World, template: Template, issuer: Issuer, requests: Requests, caller: str, count: Count
) -> None:
    wrong = {}
    own = ""
    for name, route in routes(template).items():
        expected = MATRIX[route][caller]
        method, path, body = requests[name]
        if method != "GET" and expected < 300:
            # A project of the caller's own. Only the deletion itself and a change of members see it afterwards.
            spends = route[1].endswith(("/{id}", "/{project_id}")) or "/members" in route[1] or "/team" in route[1]
            own = own or furnished(people)
            method, path, body = EVERY_ROUTE[name](people, furnished(people) if spends else own)
        got = ask(people, issuer, caller, method, path, body).status
        if got != expected:
            wrong[route] = f"expected {expected}, got {got}"
        count(cells=1)
    assert wrong == {}, (
        f"{STATEMENT.relative_to(ROOT)} says otherwise about this caller, in the row of the route's permission or in "
        "its own. Mend the route; or, if it is meant to deviate from its permission, give it a row in the table "
        '"Routes that deviate", and say why in the list above that table.'
    )


def ask(world: World, issuer: Issuer, caller: str, method: str, path: str, body: Any) -> Answer:
    match caller:
        case "anonymous":
            return world(method, path, body, by=None)
        case "malformed":
            token = world.principal("owner")["token"]
            return world(method, path, body, by=None, headers={"Authorization": f"Bearer {token[:-1]}-"})
        case "both headers":
            return world(method, path, body, headers={"X-API-Key": world.principal("owner")["api_key"]})
        case "other tenant":
            return world(method, path, body, tenant="globex")
        case "expired" | "revoked" | "API key":
            key = world.principal("owner" if caller == "API key" else caller)["api_key"]
            return world(method, path, body, by=None, headers={"X-API-Key": key})
        case "access token" | "ended access token":
            now = int(time.time())
            life = {} if caller == "access token" else {"iat": now - 600, "exp": now - 60}
            token = issuer.token("owner@acme.example", **life)
            return world(method, path, body, by=None, headers={"Authorization": f"Bearer {token}"})
        case _:
            return world(method, path, body, by="owner" if caller == "creator" else caller)


# ---------------------------------------------------------------- permissions in the routes' files


# The flat dialect has its project manager, and words of its own for that.
MANAGER_REQUIRED = {"UpdateProject", "DeleteProject"}


@pytest.mark.parametrize("route", declared.routes(), ids=lambda route: route.name)
def test_refusal_has_the_code_of_the_declared_permission(
    people: World, requests: Requests, route: declared.Route
) -> None:
    """The strongest role without the declared permission is refused with the code of that permission."""
    if route.permission is None:
        assert route.public or MATRIX[route.method, route.path]["no role"] < 300
        return
    without = [f"space {role.key}" for role in Role if route.permission not in role.permissions]
    answer = people(*requests[route.name], by=["no role", *without][-1])
    code = "manager" if route.name in MANAGER_REQUIRED else route.permission.replace(":", "_")
    assert (answer.status, answer.headers.get("x-error-code")) == (403, f"{code}_required")


@pytest.mark.parametrize("route", declared.routes(), ids=lambda route: route.name)
def test_route_names_the_weakest_permitted_role(route: declared.Route) -> None:
    if route.public:
        assert route.who == "everybody"
        return
    statuses = MATRIX[route.method, route.path]
    allowed = [role.key for role in Role if statuses[f"space {role.key}"] < 300]
    if statuses["no role"] < 300:
        assert route.who == "anyone"
    else:
        # The author of a note may delete it with any role; a hand-over needs a stronger role. A person rotates itself
        # what it is known by.
        others = "admin" if statuses["admin"] < 300 else "(author|itself)"
        assert re.search(rf"\b{allowed[0] if allowed else others}\b", route.who)


# ---------------------------------------------------------------- the rules


def test_a_member_without_a_space_role_sees_its_projects_and_no_others(world: World) -> None:
    refused = world("GET", world.projects(), by="outsider")
    assert refused.seen == (403, {"detail": "You do not have access to this space."})
    assert world("GET", "/projects", by="outsider").seen == (200, [])
    hidden, elsewhere = world.new_project("Hidden"), world.new_project("Elsewhere", space="research")
    shown = [world.new_project(f"Shown {number}") for number in range(3)]
    for project in (elsewhere, *shown):
        world.new_member(project, "outsider", "viewer")
    page = world("GET", world.projects(), by="outsider")
    assert [f"{world.projects()}/{item['id']}" for item in page.body["data"]] == shown
    assert page.body["meta"] == {"has_more": False, "next_cursor": None}
    listed = world("GET", "/projects", by="outsider").body
    assert [item["_id"] for item in listed] == sorted(flat_path(path)[10:] for path in (elsewhere, *shown))
    assert world("GET", hidden, by="outsider").status == 403
    assert world("DELETE", shown[0]).status == 204
    assert len(world("GET", world.projects(), by="outsider").body["data"]) == 2
    for project in shown[1:]:
        assert world("DELETE", f"{project}/members/{world.uuid('outsider')}").status == 204
    assert world("GET", world.projects(), by="outsider").status == 403


def test_space_is_shown_as_in_the_list_to_those_with_a_role_in_it(world: World) -> None:
    project = world.new_project()
    world.new_member(project, "outsider", "manager")
    space = world.projects().removesuffix("/projects")
    spaces = world.dev["tenants"]["acme"]["spaces"]
    listed = {each["id"]: each for each in world("GET", "/v1/spaces").body["data"]}
    assert listed.keys() == set(spaces.values())
    assert {listed[spaces["default"]]["name"], listed[spaces["research"]]["name"]} == {"Acme", "research"}
    for id, shown in listed.items():
        assert list(shown) == ["id", "tenant_id", "name", "description", "created_at", "updated_at"]
        assert world("GET", f"/v1/spaces/{id}", by="viewer").seen == (200, shown)
    refused = (403, {"detail": "You do not have access to this space."})
    assert world("GET", space, by="outsider").seen == refused, "a manager of one of its projects"
    absent = (404, {"detail": "Space not found."})
    assert world("GET", space, tenant="globex").seen == absent, "a space of another tenant"
    assert world("GET", f"/v1/spaces/{v1_id('64a1f2c3b4e5d6f7a8b9c0d1')}").seen == absent


def test_uuid_of_another_form_is_404(world: World) -> None:
    path = f"{world.projects()}/123e4567-e89b-12d3-a456-426614174000"
    assert world("GET", path).seen == (404, {"detail": "Project not found."})
    listed = world("GET", "/v1/spaces/123e4567-e89b-12d3-a456-426614174000/projects")
    assert listed.seen == (404, {"detail": "Space not found."})


def test_a_project_is_found_in_its_own_space_only(world: World) -> None:
    project = world.new_project()
    moved = project.replace(world.projects(), world.projects("research"))
    for method, body in (("GET", None), ("PATCH", {"name": "B"}), ("DELETE", None)):
        assert world(method, moved, body).seen == (404, {"detail": "Project not found."})
    assert world("GET", project).status == 200


def test_stronger_of_space_and_project_role_counts(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "contributor", "viewer")
    assert world("PATCH", project, {"name": "B"}, by="contributor").status == 200, "by the space role"
    assert world("PATCH", member, {"role_id": world.role("manager")}).status == 200
    assert world("DELETE", flat_path(project), by="contributor").status == 200, "by the project role"


def test_roles_have_the_documented_ids_and_permissions(world: World) -> None:
    """Clients store the ids and check permissions by name."""
    reads = ["project:read", "member:read"]
    writes = ["project:create", "project:update", "record:write"]
    manages = ["member:manage", "project:delete", "project:transfer"]
    permissions = {
        "viewer": reads,
        "contributor": reads + writes,
        "manager": reads + writes + manages,
        "owner": [*reads, *writes, *manages, "space:manage"],
    }
    answer = world("GET", "/v1/roles", by="outsider")
    assert answer.body["data"] == [
        {"id": f"00000000-0000-8000-8000-00000000000{rank}", "key": key, "permissions": permissions[key]}
        for rank, key in enumerate(permissions, start=1)
    ]


def test_owner_is_no_role_of_projects(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    detail = {
        "loc": ["body", "role_id"],
        "msg": "No such role of projects. See GET /v1/roles",
        "type": "unknown_role",
    }
    for role in (world.role("owner"), *map(v1_id, ("0" * 24, "64a1f2c3b4e5d6f7a8b9c0d1"))):
        body = {"principal_id": world.uuid("outsider"), "role_id": role}
        assert world("POST", f"{project}/members", body).seen == (422, {"detail": [detail]})
        assert world("PATCH", member, {"role_id": role}).seen == (422, {"detail": [detail]})


# ---------------------------------------------------------------- the named manager


def test_the_named_manager_stays_until_the_project_is_handed_over(world: World) -> None:
    project = world.new_project()
    manager = f"{project}/members/{world.uuid('owner')}"
    refused = (
        409,
        {"detail": "This member is the project's manager. Hand the project over first: PATCH its manager_id."},
    )
    assert world("DELETE", manager).seen == refused
    assert world("PATCH", manager, {"role_id": world.role("viewer")}).seen == refused
    stranger = {"loc": ["body", "manager_id"], "msg": "Must be a member of the project", "type": "not_a_member"}
    handed = world("PATCH", project, {"manager_id": world.uuid("viewer")})
    assert handed.seen == (422, {"detail": [stranger]})
    world.new_member(project, "viewer", "viewer")
    handed = world("PATCH", project, {"manager_id": world.uuid("viewer")})
    assert (handed.status, handed.body["manager_id"]) == (200, world.uuid("viewer"))
    heir = world("GET", f"{project}/members/{world.uuid('viewer')}").body
    assert heir["role_id"] == world.role("manager")
    assert world("GET", flat_path(project)).body["team"] == [world.id("owner")]
    assert world("DELETE", f"{project}/members/{world.uuid('viewer')}").seen == refused
    assert world("DELETE", manager, by="viewer").status == 204
    assert world("GET", "/projects", by="viewer").body[0]["manager"] == world.id("viewer")


def test_a_duplicate_member_and_an_unknown_principal_are_refused(world: World) -> None:
    project = world.new_project()
    world.new_member(project, "viewer", "viewer")
    body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
    again = world("POST", f"{project}/members", body)
    assert again.seen == (409, {"detail": "The principal is a member of the project already."})
    detail = {"loc": ["body", "principal_id"], "msg": "No such principal", "type": "unknown_principal"}
    unknown = {**body, "principal_id": v1_id("64a1f2c3b4e5d6f7a8b9c0d1")}
    assert world("POST", f"{project}/members", unknown).seen == (422, {"detail": [detail]})


# ---------------------------------------------------------------- archived projects


def test_an_archived_project_takes_only_reactivation_and_deletion(world: World) -> None:
    project = world.new_project()
    member = world.new_member(project, "viewer", "viewer")
    archived = world("PATCH", project, {"status": "archived"})
    assert (archived.status, archived.body["status"]) == (200, "archived")
    refused = (409, {"detail": "The project is archived. Set its status to active first."})
    new_member = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    assert world("PATCH", project, {"name": "B"}).seen == refused
    assert world("PATCH", project, {"manager_id": world.uuid("viewer")}).seen == refused
    assert world("PATCH", project, {"status": "archived"}).seen == archived.seen
    assert world("POST", f"{project}/members", new_member).seen == refused
    assert world("PATCH", member, {"role_id": world.role("manager")}).seen == refused
    assert world("DELETE", member).seen == refused
    flat = {"projectName": "B", "clientName": "C", "description": "D"}
    assert world("PUT", flat_path(project), flat).seen == (
        409,
        {"error": "The project is archived: it can be read and deleted, but not changed."},
    )
    assert world("GET", project).body == archived.body
    active = world("PATCH", project, {"status": "active", "name": "B"})
    assert (active.body["status"], active.body["name"]) == ("active", "B")
    assert world("PATCH", project, {"status": "archived"}).status == 200
    assert world("DELETE", project).status == 204


def test_status_filter_lists_projects_with_the_status(world: World) -> None:
    active, archived = world.new_project("A"), world.new_project("B")
    world("PATCH", archived, {"status": "archived"})
    for status, path in (("active", active), ("archived", archived)):
        page = world("GET", f"{world.projects()}?status={status}").body
        assert [item["id"] for item in page["data"]] == [path.rpartition("/")[2]]
    assert len(world("GET", world.projects()).body["data"]) == 2
