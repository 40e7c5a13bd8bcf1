"""How commands fail: what they say, their exit statuses, and what is sent again."""

import json
from pathlib import Path

import pytest

from atrium_cli.client import WAITS
from atrium_cli.failures import Exit
from local.database import free_port
from tests.support.client import World, v1_id
from tests.support.command import Atrium, Between

NOWHERE = v1_id("64a1f2c3b4e5d6f7a8b9c0d1")


def request_of(said: str) -> str:
    """The request id in an error."""
    return said.rpartition("request ")[2].rstrip(")\n")


def test_exit_status_tells_why_a_command_failed(world: World, atrium: Atrium) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    member = world.principal("contributor")["token"]
    for words, more, exit, said in (
        (["spaces", "create", ""], {}, Exit.REFUSED, "Error: the request is not accepted.\n  name: "),
        (["me"], {"ATRIUM_TOKEN": "atr_token_x"}, Exit.UNAUTHORIZED, "Error: "),
        (["spaces", "create", "Attic"], {"ATRIUM_TOKEN": member}, Exit.FORBIDDEN, "Error: "),
        (["spaces", "show", NOWHERE], {}, Exit.NOT_FOUND, "Error: Space not found.\n(space_not_found, status 404, "),
        (["spaces", "delete", space], {}, Exit.CONFLICT, "Error: "),
        (["spaces", "update", space, "--name", "A", "--if-match", '"v-9"'], {}, Exit.CONFLICT, "Error: "),
    ):
        done = atrium(*words, **more)
        assert (done.exit, done.out) == (exit, ""), (words, done)
        assert done.err.startswith(said), done.err
        assert len(request_of(done.err)) == 36, done.err


def test_errors_of_fields_are_told_by_field_with_code_and_request(atrium: Atrium) -> None:
    words = ("principals", "create", " ", "--email", "nowhere")
    done = atrium(*words)
    assert done.seen == (
        3,
        "",
        (
            "Error: the request is not accepted.\n"
            "  name: Must not be empty\n"
            "  email: Must be an e-mail address\n"
            f"(invalid_request, status 422, request {request_of(done.err)})\n"
        ),
    )
    shown = json.loads(atrium(*words, "--json").err)
    assert list(shown) == ["status", "code", "detail", "request_id"]
    assert (shown["status"], shown["code"]) == (422, "invalid_request")
    assert [each["loc"] for each in shown["detail"]] == [["body", "name"], ["body", "email"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["spaces", "show", "../me"], "Error: SPACE_ID must be an id, such as 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1."),
        (["spaces", "delete", ""], "Error: SPACE_ID must be an id, such as 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1."),
        (
            [*["credentials", "update", "me", "x", "--days", "7", "--expires-at"], "2030-01-01"],
            "Error: Give either --expires-at or --days.",
        ),
        (
            ["credentials", "update", "me", "x", "--days", "7", "--idempotency-key", "k"],
            "Error: --days is another time at each run. With a key, give the time itself.",
        ),
        (
            ["events", "--follow", "--until", "2030-01-01"],
            "Error: --follow has no end and one order: leave out --until.",
        ),
        (
            ["tenant", "update", "--name", "A", "--idempotency-key", "é"],
            "Error: An Idempotency-Key or ETag is in ASCII.",
        ),
        (["projects", "create", NOWHERE, "A", "--description", "{"], "Error: --description: "),
        (
            ["spaces", "members", "add", NOWHERE, "--email", "ada@acme.example", "--role", "contributer"],
            "Error: --role: there is no role contributer. There are viewer, contributor, manager, owner.\n",
        ),
        (
            ["credentials", "create", "me", "--kind", "api_key", "--name", "CI", "--only", "secrt"],
            "Error: --only: there is no field secrt. There are id, kind, name, hint, permissions, space_ids, ",
        ),
        (["events", "--only", "actor_id"], "Error: --only: there is no field actor_id. There are id, type, time, "),
        (["spaces", "create", "Attic", "--only", "id", "--json"], '{"status": null, "code": null, "detail": "Give ei'),
        (["me", "--profile", "../x"], "Error: A profile's name has letters, digits, dots, dashes and underscores."),
        (
            ["me", "--profile", "nowhere"],
            "Error: There is no profile nowhere: `atrium login --profile nowhere` makes it.",
        ),
        (["events", "--type", "task.*", "show", NOWHERE], "Error: options come after show."),
        (["principals", "list", "--kind", "robot"], "Usage: atrium principals list "),
        (["spaces", "create"], "Usage: atrium spaces create "),
    ],
)
def test_wrong_command_line_sends_no_write_and_exits_with_2(
    atrium: Atrium, api: Between, words: list[str], said: str
) -> None:
    done = atrium(*words)
    assert (done.exit, done.out) == (Exit.USAGE, "")
    assert done.err.startswith(said), done.err
    assert not [method for method, _, _ in api.seen if method != "GET"]


def test_busy_answer_is_asked_again_after_its_own_pause_with_the_same_key(
    world: World, atrium: Atrium, api: Between, pauses: list[float]
) -> None:
    api.faults.extend([503, 429, 502, 504])
    made = atrium.made("spaces", "create", "Attic")
    assert pauses == [7, 7, 7, 7]
    assert len(api.seen) == 5
    assert len(set(api.seen)) == 1, "one key"
    found = world("GET", "/v1/spaces").body["data"]
    assert [space for space in found if space["name"] == "Attic"] == [made]


def test_lost_answer_is_asked_for_again_and_the_write_happens_once(
    world: World, atrium: Atrium, api: Between, pauses: list[float]
) -> None:
    api.faults.extend(["lost", "unsent", "lost"])
    made = atrium.made("spaces", "create", "Attic", "--idempotency-key", "mine")
    assert {key for _, _, key in api.seen} == {"mine"}
    assert len(pauses) == 3
    assert all(wait / 2 <= pause <= wait for pause, wait in zip(pauses, WAITS, strict=False))
    found = world("GET", "/v1/spaces").body["data"]
    assert [space for space in found if space["name"] == "Attic"] == [made]
    assert atrium.made("spaces", "create", "Attic", "--idempotency-key", "mine") == made, "run twice"


def test_api_that_stays_busy_or_silent_ends_the_command(atrium: Atrium, api: Between, pauses: list[float]) -> None:
    api.faults.extend([503] * 6)
    busy = atrium("me")
    assert busy.seen == (Exit.BUSY, "", "Error: Busy.\n(try_again, status 503, request r-1)\n")
    assert len(pauses) == len(WAITS) == 5
    api.faults.extend(["unsent"] * 6)
    silent = atrium("me")
    assert (silent.exit, silent.out) == (Exit.UNREACHABLE, "")
    assert silent.err == f"Error: {api.url} does not answer: Remote end closed connection without response.\n"


def test_server_that_is_not_there_is_told_at_once(atrium: Atrium, pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = atrium("me", ATRIUM_URL=url, ATRIUM_TOKEN="atr_token_x")
    assert done.seen == (Exit.UNREACHABLE, "", f"Error: {url} cannot be reached: Connection refused.\n")
    assert pauses == []


def test_answer_that_leads_elsewhere_is_not_followed(atrium: Atrium, api: Between) -> None:
    api.faults.append(302)
    done = atrium("me")
    assert done.exit == Exit.UNREACHABLE
    assert done.err.startswith(f"Error: The answer leads to {api.url}/elsewhere: is the URL right?\n")
    assert len(api.seen) == 1


def test_answer_of_another_server_is_told_as_one(atrium: Atrium, api: Between) -> None:
    api.faults.append(200)
    done = atrium("principals", "projects", "me")
    said = f"Error: There is no Atrium API at {api.url}. Its URL is that of its page /docs, without /docs.\n"
    assert done.seen == (Exit.UNREACHABLE, "", said)


def test_text_that_is_no_utf_8_is_refused_by_the_api(atrium: Atrium) -> None:
    for words in (["principals", "list", "--q", "\udcff"], ["spaces", "create", "\udcff"]):
        done = atrium(*words)
        assert (done.exit, done.out) == (Exit.REFUSED, ""), done


def test_lost_secret_is_told_with_how_to_get_another_one(world: World, atrium: Atrium, api: Between) -> None:
    new = ("credentials", "create", "me", "--kind", "api_key", "--name", "CI")
    api.faults.extend([None, "lost"])  # of the look-up of me, and of the creation
    done = atrium(*new, "--only", "secret")
    (made,) = [each for each in atrium.made("credentials", "list", "me") if each["name"] == "CI"]
    assert done.seen == (
        Exit.SECRET_LOST,
        "",
        (
            "Error: The answer with the secret was lost, or was given before. The credential is there: rotate it, and "
            f"it has another secret.\n  atrium credentials rotate me {made['id']}\n"
        ),
    )
    rotated = atrium("credentials", "rotate", "me", made["id"], "--only", "secret")
    assert (rotated.exit, rotated.err) == (0, "")
    assert world("GET", "/v1/me", by=None, headers={"X-API-Key": rotated.out.strip()}).status == 200


def test_lost_secret_of_an_enrolment_is_told_with_how_to_revoke_it(world: World, atrium: Atrium, api: Between) -> None:
    person = world.new_principal().rpartition("/")[2]
    new = ("credentials", "create", person, "--kind", "token", "--name", "Laptop", "--enrol")
    api.faults.append("lost")
    done = atrium(*new, "--only", "secret")
    (made,) = atrium.made("credentials", "list", person)
    revoke = ["credentials", "revoke", person, made["id"]]
    assert done.seen == (
        Exit.SECRET_LOST,
        "",
        (
            "Error: The answer with the secret was lost, or was given before. The credential is there: it cannot "
            f"enrol, so revoke it and make another one.\n  atrium {' '.join(revoke)}\n"
        ),
    )
    assert atrium("credentials", "rotate", person, made["id"]).exit == Exit.FORBIDDEN
    assert atrium(*revoke).seen == (0, "Revoked.\n", "")
    assert atrium(*new, "--only", "secret").out.startswith("atr_token_")


def test_no_secret_is_in_what_a_failing_command_says(atrium: Atrium, tmp_path: Path) -> None:
    secret = "atr_token_" + "s" * 49
    for words in (
        ["me"],
        ["me", "--json"],
        ["login", "--url", "http://127.0.0.1:1"],
        ["login", "--url", "http://a.example"],
    ):
        done = atrium(*words, stdin=f"{secret}\n", ATRIUM_TOKEN=secret)
        assert done.exit != 0
        assert secret not in done.out + done.err
