"""Principals are made, read and changed by admins; each sees itself, and changes its own name."""

from collections.abc import Callable
from typing import Any

import pytest

from atrium import keys
from atrium.store.tenants import MAX_ITEMS
from atrium.text import MAX_WORDS
from tests.support.changes import require_published_form
from tests.support.client import A_MOMENT, A_UUID, Answer, World, flat_id, flat_path, v1_id
from tests.support.principals import Narrow, events, path, tenant
from tests.support.rows import Rows, require_sound
from tests.support.trace import Trace

ADA = {"name": "Ada Lovelace", "email": "ada@acme.example"}
REFUSED = (403, {"detail": "You may not manage the principals of this tenant."})
NARROWED = (
    403,
    {"detail": "Your credential is narrowed and does not permit this, though you may do it with one that does."},
)
NOBODY = f"/v1/principals/{v1_id('0' * 24)}"


def shown(world: World, **fields: Any) -> dict[str, Any]:
    return {
        "id": A_UUID,
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "kind": "user",
        "name": "Ada Lovelace",
        "email": "ada@acme.example",
        "external_id": None,
        "tenant_role": "member",
        "status": "active",
        "created_at": A_MOMENT,
        "updated_at": A_MOMENT,
    } | fields


def made(world: World, **fields: Any) -> str:
    """The path of a new principal."""
    answer = world("POST", "/v1/principals", {**ADA, **fields})
    assert answer.status == 201, answer
    return f"/v1/principals/{answer.body['id']}"


def refusal(field: str, type: str, message: str) -> tuple[int, Any]:
    return 422, {"detail": [{"loc": ["body", field], "msg": message, "type": type}]}


def test_principal_is_made_read_and_changed(world: World) -> None:
    answer = world("POST", "/v1/principals", {**ADA, "external_id": "00u1", "tenant_role": "admin"})
    whole = shown(world, external_id="00u1", tenant_role="admin")
    assert answer.seen == (201, whole)
    assert list(answer.body) == list(whole)
    ada = f"/v1/principals/{answer.body['id']}"
    assert answer.headers["location"].endswith(ada)
    assert answer.headers["etag"] == '"v-1"'
    read = world("GET", ada)
    assert (read.seen, read.headers["etag"]) == ((200, answer.body), '"v-1"')
    change = {
        "name": "Ada King",
        "email": "king@acme.example",
        "external_id": None,
        "tenant_role": "member",
        "status": "suspended",
    }
    changed = world("PATCH", ada, change, headers={"If-Match": '"v-1"'})
    assert changed.seen == (200, {**answer.body, **change, "updated_at": A_MOMENT})
    assert changed.body["updated_at"] > answer.body["updated_at"]
    assert changed.headers["etag"] == '"v-2"'
    assert world("GET", ada).body == changed.body
    stale = world("PATCH", ada, {"name": "Ada"}, headers={"If-Match": '"v-1"'})
    assert stale.seen == (412, {"detail": "If-Match names another version than the current one. Read it again."})
    require_sound()


def test_service_needs_no_email_and_is_no_admin(world: World) -> None:
    bot = world("POST", "/v1/principals", {"name": "Bot", "kind": "service"})
    assert bot.seen == (201, shown(world, name="Bot", kind="service", email=None))
    bots = f"/v1/principals/{bot.body['id']}"
    with_email = world("PATCH", bots, {"email": "bot@acme.example"})
    assert with_email.body["email"] == "bot@acme.example"
    assert world("PATCH", bots, {"email": None}).body["email"] is None
    no_admin = refusal("tenant_role", "users_only", "Only a user may be an admin")
    assert world("PATCH", bots, {"tenant_role": "admin"}).seen == no_admin
    assert world("POST", "/v1/principals", {"name": "B", "kind": "service", "tenant_role": "admin"}).seen == no_admin
    no_email = refusal("email", "missing", "A user has an e-mail address")
    assert world("POST", "/v1/principals", {"name": "Ada"}).seen == no_email
    assert world("PATCH", made(world), {"email": None}).seen == no_email
    require_sound()


def test_email_is_shown_as_addresses_are_compared(world: World) -> None:
    body = {"name": " Ada ", "email": " Ada@B\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.Example "}
    composed = world("POST", "/v1/principals", body)
    assert composed.seen == (201, shown(world, name="Ada", email="ada@bücher.example"))
    for same in ("ADA@bücher.example", "ada@xn--bcher-kva.example", "ada@bu\N{COMBINING DIAERESIS}cher.example"):
        again = world("POST", "/v1/principals", {"name": "B", "email": same})
        assert again.seen == (409, {"detail": "Another principal has this e-mail address."})


def test_name_of_another_principal_is_taken_until_it_is_given_up(world: World) -> None:
    ada = made(world, external_id="00u1")
    grace = made(world, name="Grace", email="grace@acme.example")
    for body, code, message in (
        ({"email": "Ada@acme.example"}, "email_taken", "Another principal has this e-mail address."),
        ({"external_id": "00u1"}, "external_id_taken", "Another principal has this external id."),
    ):
        for answer in (
            world("PATCH", grace, body),
            world("POST", "/v1/principals", {"name": "B", "email": "b@acme.example", **body}),
        ):
            assert (answer.seen, answer.headers["x-error-code"]) == ((409, {"detail": message}), code)
    assert world("PATCH", ada, {"email": "ADA@acme.example", "external_id": "00u1"}).status == 200, "its own"
    assert world("PATCH", ada, {"email": "king@acme.example", "external_id": "00U1"}).status == 200
    taken = world("PATCH", grace, {"email": "ada@acme.example", "external_id": "00u1"})
    assert (taken.status, taken.body["email"], taken.body["external_id"]) == (200, "ada@acme.example", "00u1")
    assert world("PATCH", ada, {"external_id": None}).status == 200
    assert world("PATCH", grace, {"external_id": "00U1"}).status == 200
    require_sound()


@pytest.mark.parametrize(
    ("fields", "type", "message"),
    [
        ({"name": " "}, "string_too_short", "Must not be empty"),
        ({"name": "a " * 100}, "too_long", f"Must have at most {MAX_WORDS} words"),
        ({"email": "ada"}, "email", "Must be an e-mail address"),
        ({"email": "a@b@c"}, "email", "Must be an e-mail address"),
        ({"email": "a b@acme.example"}, "email", "Must be an e-mail address"),
        ({"email": "@acme.example"}, "email", "Must be an e-mail address"),
        ({"email": f"{'a' * 250}@b.example"}, "string_too_long", "Must have at most 254 characters"),
        ({"external_id": ""}, "string_too_short", "Must not be empty"),
        ({"external_id": "a b"}, "string_invisible", "Must not hold blanks or invisible characters"),
        ({"external_id": "a\N{ZERO WIDTH SPACE}"}, "string_invisible", "Must not hold blanks or invisible characters"),
        ({"external_id": "a" * 201}, "string_too_long", "Must have at most 200 characters"),
        ({"tenant_role": "owner"}, "literal_error", "Input should be 'admin' or 'member'"),
    ],
)
def test_unfit_field_is_refused(world: World, fields: dict[str, Any], type: str, message: str) -> None:
    (field,) = fields
    assert world("POST", "/v1/principals", {**ADA, **fields}).seen == refusal(field, type, message)
    assert world("PATCH", path(world, "viewer"), fields).seen == refusal(field, type, message)


def test_a_new_principal_is_neither_suspended_nor_of_another_kind_later(world: World) -> None:
    known = "Unknown field. Known: email, external_id, kind, name, tenant_role"
    new = world("POST", "/v1/principals", {**ADA, "status": "suspended"})
    assert new.seen == refusal("status", "extra_forbidden", known)
    known = "Unknown field. Known: email, external_id, name, status, tenant_role"
    other = world("PATCH", path(world, "viewer"), {"kind": "service"})
    assert other.seen == refusal("kind", "extra_forbidden", known)


# ---------------------------------------------------------------- who may


def test_principal_sees_itself_and_changes_its_own_name(world: World) -> None:
    own = path(world, "viewer")
    before = world("GET", own, by="viewer")
    assert before.seen == world("GET", own).seen
    assert (before.status, before.body["name"]) == (200, world("GET", "/v1/me", by="viewer").body["name"])
    renamed = world("PATCH", own, {"name": "Vivian"}, by="viewer", key="mine")
    assert renamed.seen == (200, {**before.body, "name": "Vivian", "updated_at": A_MOMENT})
    assert world("GET", "/v1/me", by="viewer").body["name"] == "Vivian"
    assert world("PATCH", own, {"name": "Vivian"}, by="viewer", key="mine").replayed
    for change in (
        {"email": "v@acme.example"},
        {"external_id": "x"},
        {"tenant_role": "admin"},
        {"tenant_role": "member"},
        {"status": "suspended"},
        {"name": "V", "status": "active"},
    ):
        assert world("PATCH", own, change, by="viewer").seen == REFUSED
    assert world("GET", own).body == renamed.body
    require_sound()


def test_who_is_no_admin_is_refused_whether_there_is_such_a_principal_or_not(world: World) -> None:
    for other in (path(world, "owner"), NOBODY):
        assert world("GET", other, by="viewer").seen == REFUSED
        assert world("PATCH", other, {"name": "B"}, by="viewer").seen == REFUSED
        assert world("GET", f"{other}/projects", by="viewer").seen == REFUSED
    assert world("GET", "/v1/principals", by="viewer").seen == REFUSED
    assert world("POST", "/v1/principals", ADA, by="viewer").seen == REFUSED
    nobody = (404, {"detail": "Principal not found."})
    for other in (NOBODY, f"/v1/principals/{world.uuid('viewer', 'globex')}"):
        for method, below, body in (("GET", "", None), ("PATCH", "", {"name": "B"}), ("GET", "/projects", None)):
            answer = world(method, other + below, body)
            assert (answer.seen, answer.headers["x-error-code"]) == (nobody, "principal_not_found")


def test_narrowed_credential_reads_its_principal_and_does_not_rename_it(world: World, narrow: Narrow) -> None:
    own = path(world, "viewer")
    narrow("viewer", permissions=["project:read"])
    assert world("GET", own, by="viewer").status == 200
    assert world("PATCH", own, {"name": "V"}, by="viewer").seen == NARROWED
    narrow("viewer")
    assert world("PATCH", own, {"name": "V"}, by="viewer").status == 200


def test_narrowed_admin_manages_members_and_touches_no_admin(world: World, narrow: Narrow) -> None:
    admin = made(world, tenant_role="admin")
    narrow("owner", permissions=["principal:manage"])
    grace = made(world, name="Grace", email="grace@acme.example")
    assert world("PATCH", grace, {"status": "suspended"}).status == 200
    assert world("GET", "/v1/principals").status == 200
    refused: list[Callable[[], Answer]] = [
        lambda: world("POST", "/v1/principals", {**ADA, "email": "b@acme.example", "tenant_role": "admin"}),
        lambda: world("PATCH", grace, {"tenant_role": "admin"}),
        lambda: world("PATCH", grace, {"tenant_role": "member"}),
        lambda: world("PATCH", admin, {"status": "suspended"}),
        lambda: world("PATCH", admin, {"email": "mallory@acme.example"}),
        lambda: world("PATCH", path(world, "owner"), {"name": "O"}),
        lambda: world("PATCH", path(world, "owner"), {"email": "o@acme.example"}),
    ]
    for ask in refused:
        answer = ask()
        assert (answer.seen, answer.headers["x-error-code"]) == (NARROWED, "credential_narrowed")
    narrow("owner", permissions=["project:read", "event:read"])
    assert world("GET", "/v1/principals").seen == NARROWED
    assert world("POST", "/v1/principals", ADA).seen == NARROWED
    assert world("GET", grace).seen == NARROWED
    narrow("owner", spaces=[tenant(world)])
    assert world("GET", "/v1/principals").seen == NARROWED
    assert world("PATCH", grace, {"status": "active"}).seen == NARROWED


# ---------------------------------------------------------------- the directory, and events


def found(world: World, project: str, text: str) -> list[str]:
    """The names of the people whom a search in the flat dialect finds."""
    answer = world("GET", f"{flat_path(project)}/team/search?q={text}")
    assert answer.status == 200, answer
    return [person["name"] for person in answer.body]


def test_principal_is_found_by_what_it_is_called_now(world: World) -> None:
    project, ada = world.new_project(), made(world)
    assert [found(world, project, text) for text in ("ada", "love", "ada@")] == [["Ada Lovelace"]] * 3
    assert world("PATCH", ada, {"name": "Augusta Ada King"}).status == 200
    assert found(world, project, "love") == []
    assert [found(world, project, text) for text in ("ada@", "king", "augusta")] == [["Augusta Ada King"]] * 3
    assert world("PATCH", ada, {"email": "king@acme.example"}).status == 200
    assert found(world, project, "ada@") == []
    (king,) = world("GET", f"{flat_path(project)}/team/search?q=augusta").body
    assert king["email"] == "king@acme.example"
    require_sound()


def test_largest_change_fits_into_one_transaction(traced: tuple[World, Trace]) -> None:
    world, trace = traced

    def words(letter: str) -> str:
        return " ".join(f"{letter}{chr(97 + n // 20)}{chr(97 + n % 20)}" for n in range(MAX_WORDS))

    admins = {"tenant_role": "admin", "external_id": "00u1"}
    ada = made(world, name=words("a"), **admins)
    other = {"name": words("b"), "email": "b@acme.example", "external_id": "00u2"}
    trace.clear()
    changed = world("PATCH", ada, {**other, "tenant_role": "member", "status": "suspended"}, key="all")
    assert changed.status == 200, changed
    (commit,) = (call for call in trace.of("V1UpdatePrincipal") if call.operation == "TransactWriteItems")
    # Each word of either name; its own row, those in the list, of both addresses and both ids, the number of admins,
    # two events, the caller's own row, and the record of the key.
    assert commit.size == 2 * MAX_WORDS + 11 <= MAX_ITEMS
    require_sound()


def test_same_values_change_nothing(world: World) -> None:
    ada = made(world, external_id="00u1")
    before, told = world("GET", ada), events(world, ada.rpartition("/")[2])
    same = {name: before.body[name] for name in ("name", "email", "external_id", "tenant_role", "status")}
    again = world("PATCH", ada, {**same, "email": "ADA@acme.example"}, key="same")
    assert (again.seen, again.headers["etag"]) == (before.seen, before.headers["etag"])
    assert events(world, ada.rpartition("/")[2]) == told
    assert world("PATCH", ada, {**same, "email": "ADA@acme.example"}, key="same").replayed


def test_events_tell_what_changed_and_nothing_private(world: World, rows: Rows) -> None:
    ada = made(world, external_id="00u1")
    id = ada.rpartition("/")[2]
    secret = {"name": "Augusta King", "email": "king@acme.example", "external_id": "00u2"}
    for change in (secret, {"status": "suspended"}, {"status": "active", "tenant_role": "admin"}):
        assert world("PATCH", ada, change).status == 200
    resumed, promoted, suspended, updated, created = events(world, id)
    assert [event["type"] for event in (created, updated, suspended, promoted, resumed)] == [
        *("principal.created", "principal.updated", "principal.suspended", "principal.updated", "principal.resumed"),
    ]
    for number, event in enumerate((created, updated, suspended, promoted, resumed), start=1):
        require_published_form({**event, "sequence": number})
    assert updated["changed"] == ["email", "external_id", "name"]
    assert promoted["changed"] == ["tenant_role"]
    assert "changed" not in suspended
    assert suspended["resource"] == {
        "id": id,
        "tenant_id": world.dev["tenants"]["acme"]["tenant_id"],
        "kind": "user",
        "tenant_role": "member",
        "status": "suspended",
        "created_at": A_MOMENT,
        "updated_at": A_MOMENT,
    }
    assert (resumed["resource"]["status"], resumed["resource"]["tenant_role"]) == ("active", "admin")
    own = rows.get(keys.principal(tenant(world), flat_id(id)))
    assert own is not None
    assert own["sequence"] == 5
    told = [repr(row) for row in rows.all() if "#L#" in row["pk"]]
    for private in ("Ada", "Lovelace", "Augusta", "ada@", "king@", "00u1", "00u2"):
        assert not any(private in row for row in told), private
