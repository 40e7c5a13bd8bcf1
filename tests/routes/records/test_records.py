"""Tasks, datasets, experiments and decisions in both dialects: one record, two spellings."""

import pytest

from tests.support.client import (
    A_MOMENT,
    A_UUID,
    AN_ID,
    RECORDS,
    World,
    flat_path,
    in_camel_case,
    v1_id,
)
from tests.support.records import DEFAULTS, KINDS, TEXT, id_of, next_page, stored

NOT_ALLOWED = "You may not change the records of this project."


@pytest.mark.parametrize("kind", KINDS)
def test_v1_record_is_created_read_changed_listed_and_deleted(shared: World, kind: str) -> None:
    project = shared.new_project()
    made = shared("POST", f"{project}/{kind}", RECORDS[kind])
    whole = {
        "id": A_UUID,
        "tenant_id": shared.dev["tenants"]["acme"]["tenant_id"],
        "space_id": shared.dev["tenants"]["acme"]["spaces"]["default"],
        "project_id": id_of(project),
        "created_by": shared.uuid("owner"),
        "created_at": A_MOMENT,
        "updated_at": A_MOMENT,
        **stored(RECORDS[kind]),
        **DEFAULTS[kind],
    }
    assert made.seen == (201, whole)
    assert made.headers["etag"] == '"v-1"'
    path = f"{project}/{kind}/{made.body['id']}"
    assert shared("GET", path).seen == (200, made.body)
    change = {"phase": "business", TEXT[kind]: "Other"}
    changed = shared("PATCH", path, change, headers={"If-Match": '"v-1"'})
    assert changed.seen == (
        200,
        made.body | change | {"updated_at": A_MOMENT},
    )
    assert changed.headers["etag"] == '"v-2"'
    assert shared("PATCH", path, {"phase": "modeling"}, headers={"If-Match": '"v-1"'}).status == 412
    page = shared("GET", f"{project}/{kind}")
    assert page.seen == (200, {"data": [changed.body], "meta": {"has_more": False, "next_cursor": None}})
    assert shared("DELETE", path).seen == (204, None)
    assert shared("GET", path).seen == (404, {"detail": f"{kind[:-1].title()} not found."})
    assert shared("DELETE", path).status == 404
    assert shared("GET", f"{project}/{kind}").body["data"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_flat_record_is_created_listed_and_deleted(shared: World, kind: str) -> None:
    project = flat_path(shared.new_project())
    made = shared("POST", f"{project}/{kind}", in_camel_case(RECORDS[kind]))
    whole = {
        "_id": AN_ID,
        "project": id_of(project),
        "createdBy": shared.id("owner"),
        "createdAt": A_MOMENT,
        "updatedAt": A_MOMENT,
        **in_camel_case(stored(RECORDS[kind]) | DEFAULTS[kind]),
    }
    assert made.seen == (201, whole)
    assert shared("GET", f"{project}/{kind}").seen == (200, [made.body])
    path = f"{project}/{kind}/{made.body['_id']}"
    gone = {"message": f"{kind[:-1].title()} deleted successfully."}
    assert shared("DELETE", path).seen == (200, gone)
    assert shared("DELETE", path).seen == (404, {"error": f"{kind[:-1].title()} not found."})
    assert shared("GET", f"{project}/{kind}").seen == (200, [])


@pytest.mark.parametrize("kind", KINDS)
def test_flat_record_is_the_same_in_v1(shared: World, kind: str) -> None:
    project = shared.new_project()
    flat = shared("POST", f"{flat_path(project)}/{kind}", in_camel_case(RECORDS[kind])).body
    seen = shared("GET", f"{project}/{kind}/{v1_id(flat['_id'])}").body
    common = {"created_at", "updated_at", *RECORDS[kind], *DEFAULTS[kind]}
    assert in_camel_case({name: seen[name] for name in common}) == {
        name: value for name, value in flat.items() if name not in ("_id", "project", "createdBy")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_paged_and_filtered_by_phase(shared: World, kind: str) -> None:
    project = shared.new_project()
    made = [id_of(shared.new_record(project, kind, phase=phase)) for phase in ("business", "modeling", "business") * 2]
    assert [item["id"] for item in shared("GET", f"{project}/{kind}").body["data"]] == made
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = shared("GET", f"{project}/{kind}?limit=4&phase=business{cursor and f'&cursor={cursor}'}").body
        assert page["meta"]["has_more"] == (page["meta"]["next_cursor"] is not None)
        seen += [item["id"] for item in page["data"]]
        cursor, pages = page["meta"]["next_cursor"], pages + 1
    assert (seen, pages) == ([made[0], made[2], made[3], made[5]], 2)
    flat = f"{flat_path(project)}/{kind}"
    assert [v1_id(item["_id"]) for item in shared("GET", flat).body] == made
    first = shared("GET", f"{flat}?limit=4")
    rest = shared("GET", next_page(first))
    assert [v1_id(item["_id"]) for item in first.body + rest.body] == made
    assert "link" not in rest.headers
    if kind != "tasks":
        assert [v1_id(item["_id"]) for item in shared("GET", f"{flat}?phase=modeling").body] == [made[1], made[4]]
        assert shared("GET", f"{flat}?phase=other").status == 400
    assert shared("GET", f"{project}/{kind}?phase=other").status == 422


def test_write_of_a_record_in_an_archived_project_is_409(shared: World) -> None:
    project = shared.new_project()
    records = {kind: shared.new_record(project, kind) for kind in KINDS}
    note = shared.new_note(records["tasks"])
    assert shared("PATCH", project, {"status": "archived"}).status == 200
    refused = "The project is archived. Set its status to active first."
    for kind, path in records.items():
        assert shared("GET", path).status == 200
        assert shared("POST", f"{project}/{kind}", RECORDS[kind]).seen == (409, {"detail": refused})
        assert shared("PATCH", path, {"phase": "business"}).seen == (409, {"detail": refused})
        assert shared("DELETE", path).seen == (409, {"detail": refused})
    flat = flat_path(records["tasks"])
    refused = "The project is archived: it can be read and deleted, but not changed."
    for method, path, body in (
        ("PUT", flat, {"name": "B", "description": "C"}),
        ("POST", f"{flat}/status", {"status": "completed"}),
        ("PATCH", f"{flat}/phase", {"phase": "business"}),
        ("PATCH", f"{flat}/completed", {}),
        ("PATCH", f"{flat}/reassign", {"assignedTo": shared.id("owner")}),
        ("POST", f"{flat}/notes", {"content": "x"}),
        ("DELETE", note, {}),
        ("POST", f"{flat_path(project)}/team", {"id": shared.id("viewer")}),
    ):
        assert shared(method, path, body).seen == (409, {"error": refused}), path


def test_record_of_a_deleted_project_is_404_in_both_dialects(shared: World) -> None:
    project = shared.new_project()
    records = {kind: shared.new_record(project, kind) for kind in KINDS}
    note = shared.new_note(records["tasks"])
    assert shared("DELETE", project).status == 204
    gone = "Project not found."
    for kind, path in records.items():
        assert shared("GET", path).seen == (404, {"detail": gone})
        assert shared("GET", f"{project}/{kind}").seen == (404, {"detail": gone})
        assert shared("POST", f"{project}/{kind}", RECORDS[kind]).seen == (404, {"detail": gone})
        assert shared("GET", f"{flat_path(project)}/{kind}").seen == (404, {"error": gone})
        assert shared("DELETE", flat_path(path)).seen == (404, {"error": gone})
    for path in (flat_path(records["tasks"]), note.rpartition("/")[0], f"{flat_path(project)}/report"):
        assert shared("GET", path).seen == (404, {"error": gone})
    assert shared("GET", f"{flat_path(project)}/team").seen == (404, {"error": gone})


def test_malformed_record_id_is_422_in_v1_and_404_in_flat(shared: World) -> None:
    project = shared.new_project()
    assert shared("GET", f"{project}/tasks/1").status == 422
    assert shared("GET", f"{flat_path(project)}/tasks/1").seen == (404, {"error": "Project not found."})
