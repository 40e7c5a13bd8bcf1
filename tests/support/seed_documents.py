"""The samples of both API documents, as printed there but for base URL, ids and tokens."""

import pytest

from tests.support.client import A_MOMENT, A_UUID, AN_ID, World, v1_id

NEW = {
    "projectName": "Customer Churn Model",
    "clientName": "Acme Corp",
    "description": "Predict customer churn using historical transaction data.",
}
REVISED = {
    "projectName": "Customer Churn Model v2",
    "clientName": "Acme Corp",
    "description": "Updated scope to include real-time scoring.",
}
UNAUTHORIZED = "Missing or invalid credentials. Send one of: Authorization: Bearer <token>, or X-API-Key: <key>."


# ---------------------------------------------------------------- the flat document


def test_flat_create_answers_the_new_project(world: World) -> None:
    answer = world("POST", "/projects", NEW)
    assert answer.seen == (201, {"_id": AN_ID, **NEW, "manager": world.id("owner"), "tasks": [], "team": []})


def test_flat_list_answers_a_bare_array_of_whole_projects(world: World) -> None:
    created = world("POST", "/projects", NEW).body
    assert world("GET", "/projects").seen == (200, [created])


def test_flat_get_shows_the_project_with_tasks_and_team(world: World) -> None:
    created = world("POST", "/projects", NEW).body
    assert world("GET", f"/projects/{created['_id']}").seen == (200, created)


def test_flat_put_answers_the_updated_project(world: World) -> None:
    created = world("POST", "/projects", NEW).body
    answer = world("PUT", f"/projects/{created['_id']}", REVISED)
    assert answer.seen == (200, {**created, **REVISED})
    assert world("GET", f"/projects/{created['_id']}").seen == answer.seen


def test_flat_delete_confirms_and_is_final(world: World) -> None:
    created = world("POST", "/projects", NEW).body
    path = f"/projects/{created['_id']}"
    assert world("DELETE", path).seen == (200, {"message": "Project deleted successfully."})
    assert world("GET", path).seen == (404, {"error": "Project not found."})
    assert world("PUT", path, REVISED).seen == (404, {"error": "Project not found."})
    assert world("DELETE", path).seen == (404, {"error": "Project not found."})
    assert world("GET", "/projects").seen == (200, [])


@pytest.mark.parametrize("missing", NEW)
def test_flat_requires_every_field(world: World, missing: str) -> None:
    created = world("POST", "/projects", NEW).body
    body = {name: value for name, value in NEW.items() if name != missing}
    refused = (400, {"error": f"{missing}: Field required"})
    assert world("POST", "/projects", body).seen == refused
    assert world("PUT", f"/projects/{created['_id']}", body).seen == refused


def test_flat_answers_the_documents_refusals(world: World) -> None:
    path = f"/projects/{world('POST', '/projects', NEW).body['_id']}"
    for method, body in (("GET", None), ("PUT", REVISED), ("DELETE", None)):
        unauthorized = world(method, path, body, by=None)
        assert unauthorized.status == 401
        assert unauthorized.body["error"] == UNAUTHORIZED
    assert world("GET", path, by="outsider").seen == (403, {"error": "You do not have access to this project."})
    for by in ("outsider", "viewer", "contributor"):
        update = world("PUT", path, REVISED, by=by)
        delete = world("DELETE", path, by=by)
        assert update.seen == (403, {"error": "Only the project manager can update this project."})
        assert delete.seen == (403, {"error": "Only the project manager can delete this project."})


def test_flat_team_lists_the_members_but_the_named_manager(world: World) -> None:
    created = world("POST", "/projects", NEW).body
    space = world.projects().split("/")[3]
    path = f"/v1/spaces/{space}/projects/{v1_id(created['_id'])}"
    world.new_member(path, "viewer", "viewer")
    expected = {**created, "team": [world.id("viewer")]}
    assert world("GET", f"/projects/{created['_id']}").seen == (200, expected)
    assert world("GET", "/projects", by="viewer").seen == (200, [expected])


# ---------------------------------------------------------------- the v1 document


def test_v1_workflow_of_the_document(world: World) -> None:
    projects = world.projects()
    tenant = world.dev["tenants"]["acme"]["tenant_id"]
    new = {
        "name": "Website Redesign Q3",
        "description": {"summary": "Redesign company website for improved UX and SEO"},
    }
    created = world("POST", projects, new, by="contributor")
    project = {
        "id": A_UUID,
        "tenant_id": tenant,
        "space_id": projects.split("/")[3],
        **new,
        "created_by": world.uuid("contributor"),
        "manager_id": world.uuid("contributor"),
        "status": "active",
        "created_at": A_MOMENT,
        "updated_at": A_MOMENT,
    }
    assert created.seen == (201, project)
    path = f"{projects}/{created.body['id']}"
    member = {"principal_id": world.uuid("outsider"), "role_id": world.role("viewer")}
    added = world("POST", f"{path}/members", member)
    assert added.seen == (
        201,
        {
            "tenant_id": tenant,
            "project_id": created.body["id"],
            **member,
            "status": "active",
            "created_at": A_MOMENT,
            "updated_at": A_MOMENT,
        },
    )
    summary = {name: value for name, value in created.body.items() if name != "description"}
    page = {"data": [summary], "meta": {"has_more": False, "next_cursor": None}}
    assert world("GET", projects).seen == (200, page)
    change = {"description": {"summary": "Updated scope to include mobile optimization"}}
    assert world("PATCH", path, change).seen == (200, {**created.body, **change, "updated_at": A_MOMENT})
    assert world("GET", path).body["description"] == change["description"]
    member_path = f"{path}/members/{world.uuid('outsider')}"
    promoted = world("PATCH", member_path, {"role_id": world.role("contributor")})
    assert promoted.seen == (
        200,
        {**added.body, "role_id": world.role("contributor"), "updated_at": A_MOMENT},
    )
    assert world("GET", member_path).seen == promoted.seen
    listed = world("GET", f"{path}/members")
    assert {row["principal_id"] for row in listed.body["data"]} == {world.uuid("contributor"), world.uuid("outsider")}
    assert listed.body["meta"] == {"has_more": False, "next_cursor": None}
    assert world("DELETE", member_path).seen == (204, None)
    assert world("GET", member_path).seen == (404, {"detail": "Member not found."})
    assert world("DELETE", path).seen == (204, None)
    assert world("GET", path).seen == (404, {"detail": "Project not found."})


def test_v1_validation_error_of_the_document(world: World) -> None:
    refused = {"detail": [{"loc": ["body", "name"], "msg": "Field required", "type": "missing"}]}
    assert world("POST", world.projects(), {}).seen == (422, refused)


def test_v1_takes_either_credential_header(world: World) -> None:
    key = ("X-API-Key", world.principal("owner")["api_key"])
    token = ("Authorization", f"Bearer {world.principal('owner')['token']}")
    path = world.projects()
    assert world.raw("GET", path, [key]).status == 200
    assert world.raw("GET", path, [token]).status == 200
    refused = world.raw("GET", path, [])
    assert refused.seen == (401, {"error": UNAUTHORIZED, "detail": UNAUTHORIZED})


def test_v1_roles_are_the_catalogue_in_every_tenant(world: World) -> None:
    answer = world("GET", "/v1/roles", by="outsider", tenant="globex")
    assert {role["key"]: role["id"] for role in answer.body["data"]} == world.dev["roles"]
    viewer, contributor, manager, owner = (role["permissions"] for role in answer.body["data"])
    assert viewer == ["project:read", "member:read"]
    assert contributor == [*viewer, "project:create", "project:update", "record:write"]
    assert manager == [*contributor, "member:manage", "project:delete", "project:transfer"]
    assert owner == [*manager, "space:manage"]


def test_v1_me_says_who_the_caller_is_and_where(world: World) -> None:
    answer = world("GET", "/v1/me", by="viewer")
    spaces = world.dev["tenants"]["acme"]["spaces"]
    named = {spaces["default"]: "Acme", spaces["research"]: "research"}
    assert answer.seen == (
        200,
        {
            "principal_id": world.uuid("viewer"),
            "id": world.id("viewer"),
            "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
            "kind": "user",
            "name": "Viewer of Acme",
            "email": "viewer@acme.example",
            "tenant_role": "member",
            "spaces": [
                {
                    "space_id": space,
                    "name": named[space],
                    "is_default": space == spaces["default"],
                    "role_id": world.role("viewer"),
                    "role": "viewer",
                }
                for space in sorted(named)
            ],
            "credential": {
                "id": A_UUID,
                "kind": "token",
                "name": None,
                "permissions": None,
                "space_ids": None,
                "project_ids": None,
                "expires_at": None,
            },
        },
    )
