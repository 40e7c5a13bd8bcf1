"""Where the command line finds the API and a credential, and how `atrium login` keeps them."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from atrium_cli import places
from atrium_cli.failures import Exit, Failure, refusal
from tests.support.client import World
from tests.support.command import Atrium, Between, Fault
from tests.support.credentials import made


def kept(atrium: Atrium, profile: str = "default") -> Path:
    return atrium.directory / f".config/atrium/profiles/{profile}.json"


def test_laptops_instance_is_used_without_any_set_up(
    world: World, atrium: Atrium, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert atrium.made("me")["principal_id"] == world.uuid("owner")
    (atrium.directory / "data").rename(tmp_path / ".local")
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert atrium.made("me", DATA_DIR="")["principal_id"] == world.uuid("owner")
    (tmp_path / ".local/dev.json").unlink()
    done = atrium("me", DATA_DIR="")
    assert done.seen == (
        Exit.USAGE,
        "",
        "Error: No credential: log in with `atrium login`, or start an instance with `make run`.\n",
    )


def test_login_checks_the_credential_and_keeps_it_for_its_owner_alone(
    world: World, atrium: Atrium, api: Between
) -> None:
    secret, path = world.principal("viewer")["token"], kept(atrium)
    done = atrium("login", "--url", f"{api.url}/", stdin=f"{secret}\n")
    assert done.seen == (
        0,
        f"Logged in to {api.url} as Viewer of Acme. The profile is ~/.config/atrium/profiles/default.json.\n",
        "",
    )
    assert json.loads(path.read_text()) == {"url": api.url, "token": secret}
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path], "no draft is left"
    assert atrium.made("me")["principal_id"] == world.uuid("viewer"), "before the laptop's instance"
    again = atrium("login", "--url", api.url, "--json", stdin=f"{secret}\n")
    assert (again.exit, again.json) == (0, world("GET", "/v1/me", by="viewer").body)
    refused = atrium("login", "--url", api.url, stdin="atr_token_x\n")
    assert refused.exit == Exit.UNAUTHORIZED
    assert json.loads(path.read_text())["token"] == secret, "the profile is as it was"


def test_profile_is_private_from_the_moment_that_it_is_there(
    world: World, atrium: Atrium, api: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []

    def replace(draft: Path, path: Path) -> Path:
        modes.append(draft.stat().st_mode & 0o777)
        assert json.loads(draft.read_text())["url"] == api.url, "it is whole"
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="disk full"):
        atrium("login", "--url", api.url, stdin=f"{world.principal('viewer')['token']}\n")
    assert modes == [0o600]
    assert list(kept(atrium).parent.iterdir()) == []


def test_profiles_stand_side_by_side_and_what_is_nearest_counts(world: World, atrium: Atrium, api: Between) -> None:
    for name in ("viewer", "contributor"):
        assert (
            atrium("login", "--profile", name, "--url", api.url, ATRIUM_TOKEN=world.principal(name)["token"]).exit == 0
        )

    def who(*words: str, **more: str) -> str:
        return str(atrium.made("whoami", *words, **more)["name"])

    assert who() == "Owner of Acme", "the laptop's"
    assert who(ATRIUM_PROFILE="viewer") == "Viewer of Acme"
    outsider = {"ATRIUM_TOKEN": world.principal("outsider")["token"], "ATRIUM_URL": api.url}
    assert who(ATRIUM_PROFILE="viewer", **outsider) == "Outsider of Acme"
    assert who(ATRIUM_TOKEN=outsider["ATRIUM_TOKEN"]) == "Outsider of Acme", "at the laptop's instance"
    assert who("--profile", "contributor", ATRIUM_PROFILE="viewer", **outsider) == "Contributor of Acme"
    assert who("--profile", "laptop", **outsider) == "Owner of Acme"
    # The secret of a profile goes to no other URL.
    done = atrium("me", ATRIUM_PROFILE="viewer", ATRIUM_URL="https://elsewhere.example")
    assert done.seen == (Exit.USAGE, "", "Error: ATRIUM_URL is set. Set ATRIUM_TOKEN, too.\n")


def test_secret_goes_over_https_or_stays_on_this_machine() -> None:
    for url in ("https://api.example/prod", "http://127.0.0.1:3000", "http://localhost:3000", "http://[::1]:3000"):
        assert places.Place(url, "s").url == url
    for url in (
        "http://api.example",
        "http://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "api.example",
        "https://a?b=c",
    ):
        with pytest.raises(Failure):
            places.Place(url, "s")
    for url in (
        "https://[::1",
        "https://a:b",
        "https://a:99999",
        "https://a b",
        "https://me:secret@api.example",
        "https://a\n",
    ):
        with pytest.raises(Failure, match="must be like https"):
            places.Place(url, "s")
    for secret in ("", "two words", "a\nb", "é"):
        with pytest.raises(Failure):
            places.Place("https://api.example", secret)
    assert "secret" not in repr(places.Place("https://api.example", "secret"))


def test_enrolled_persons_login_makes_the_credential_whole_and_shows_no_secret(
    world: World, atrium: Atrium, api: Between
) -> None:
    person = world.new_principal().rpartition("/")[2]
    words = ("credentials", "create", person, "--kind", "token", "--name", "Laptop", "--enrol", "--only", "secret")
    first = atrium(*words).out.strip()
    enrolled = atrium("login", "--url", api.url, stdin=f"{first}\n")
    assert enrolled.exit == 0
    assert enrolled.err == "This credential enrols you, and is good for nothing else yet: atrium login --rotate\n"
    api.faults.extend([None, "lost"])  # of me, and of the first rotation
    whole = atrium("login", "--url", api.url, "--rotate", stdin=f"{first}\n")
    assert (whole.exit, whole.err) == (0, "")
    token = json.loads(kept(atrium).read_text())["token"]
    assert token != first
    assert token not in whole.out
    me = atrium.made("me")
    assert (me["principal_id"], me["credential"]["permissions"]) == (person, None)
    assert kept(atrium).stat().st_mode & 0o777 == 0o600
    assert atrium("spaces", "list").exit == 0, "before, GET /v1/me alone"


def test_enrolment_is_refused_in_the_words_of_the_api(world: World, atrium: Atrium, api: Between) -> None:
    person = world.new_principal().rpartition("/")[2]
    words = ("credentials", "create", person, "--kind", "token", "--name", "Laptop", "--enrol", "--only", "secret")
    first = atrium(*words).out.strip()
    early = atrium("spaces", "list", ATRIUM_TOKEN=first)
    assert early.exit == Exit.FORBIDDEN
    said = "Error: Your credential only enrols you. Rotate it, and send the secret of that answer.\n(enrolment_only, "
    assert early.err.startswith(said)
    assert atrium("login", "--url", api.url, "--rotate", "--profile", "thief", stdin=f"{first}\n").exit == 0
    assert atrium("me", "--profile", "thief").exit == 0
    late = atrium("login", "--url", api.url, "--rotate", stdin=f"{first}\n")
    assert (late.exit, late.out) == (Exit.CONFLICT, "")
    said = "Error: The credential was made whole, and its new secret is in use. If not by you, have it revoked.\n"
    assert late.err.startswith(f"{said}(enrolled_already, status 409, request ")
    assert not kept(atrium).exists()


def test_login_without_a_terminal_asks_for_nothing(world: World, atrium: Atrium) -> None:
    done = atrium("login", stdin="secret\n")
    assert done.seen == (Exit.USAGE, "", "Error: Give the URL: --url, or ATRIUM_URL.\n")
    named = atrium("login", "--profile", "laptop", "--url", "http://127.0.0.1:1", stdin="secret\n")
    assert named.exit == Exit.USAGE
    assert named.err == "Error: The profile laptop is the instance of `make run`. Choose another name.\n"


@pytest.mark.parametrize("before", [None, '{"url": "https://api.example", "token": "mine"}'])
@pytest.mark.parametrize("fault", [409, "lost"])
def test_login_whose_rotation_fails_leaves_the_profile_as_it_was(
    world: World, atrium: Atrium, api: Between, before: str | None, fault: Fault
) -> None:
    person = world.new_principal().rpartition("/")[2]
    words = ("credentials", "create", person, "--kind", "token", "--name", "Laptop", "--enrol", "--only", "secret")
    first = atrium(*words).out.strip()
    path = kept(atrium)
    path.parent.mkdir(parents=True)
    if before:
        path.write_text(before)
    # Of me, and of the rotations.
    api.faults.extend([None, *([fault] if fault == 409 else [fault, None] * 3)])
    done = atrium("login", "--url", api.url, "--rotate", stdin=f"{first}\n")
    assert (done.exit, done.out) == (Exit.CONFLICT if fault == 409 else Exit.SECRET_LOST, "")
    assert [each.read_text() for each in path.parent.iterdir()] == ([before] if before else [])
    assert atrium("login", "--url", api.url, "--rotate", stdin=f"{first}\n").exit == 0, "again"


def test_secret_is_rotated_only_where_a_profile_can_be_written(
    world: World, atrium: Atrium, api: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(OSError, match="disk full"):
        atrium("login", "--url", api.url, "--rotate", stdin=f"{world.principal('viewer')['token']}\n")
    assert [method for method, _, _ in api.seen] == ["GET"]


def test_login_takes_the_address_of_the_documentation(world: World, atrium: Atrium, api: Between) -> None:
    for url in (f"{api.url}/docs", f"{api.url}/docs/"):
        assert atrium("login", "--url", url, stdin=f"{world.principal('viewer')['token']}\n").exit == 0
        assert json.loads(kept(atrium).read_text())["url"] == api.url


@pytest.mark.parametrize(("path", "fault"), [("/prod", None), ("", 200), ("", 302)])
def test_login_at_a_wrong_url_is_told_as_one(atrium: Atrium, api: Between, path: str, fault: Fault) -> None:
    api.faults.append(fault)
    done = atrium("login", "--url", f"{api.url}{path}", stdin="atr_token_x\n")
    said = f"There is no Atrium API at {api.url}{path}. Its URL is that of its page /docs, without /docs."
    assert done.seen == (Exit.UNREACHABLE, "", f"Error: {said}\n")
    assert not kept(atrium).exists()


def test_answer_of_a_gateway_for_a_stage_that_it_does_not_have_is_of_no_api() -> None:
    assert refusal(403, {}, {"message": "Forbidden"}).is_of_no_api
    for status, code in ((403, "request_refused"), (429, None), (502, None)):
        assert not refusal(status, {"x-error-code": code} if code else {}, {}).is_of_no_api


def test_login_with_a_wrong_or_no_secret_is_told_as_that(atrium: Atrium, api: Between) -> None:
    wrong = atrium("login", "--url", api.url, stdin="atr_token_x\n")
    assert (wrong.exit, wrong.out) == (Exit.UNAUTHORIZED, "")
    assert wrong.err.startswith(f"Error: The secret is not valid at {api.url}.\n(unauthorized, status 401, request ")
    for stdin in ("", "\n"):
        done = atrium("login", "--url", api.url, stdin=stdin)
        assert done.seen == (Exit.USAGE, "", "Error: No secret was given on stdin.\n")
    assert len(api.seen) == 1


def test_rotation_of_a_key_in_use_stays_in_the_profile(world: World, atrium: Atrium, api: Between) -> None:
    one = made(world, "contributor", by="contributor")
    assert atrium("login", "--url", api.url, "--rotate", stdin=f"{one['secret']}\n").exit == 0
    assert atrium.made("me")["credential"]["id"] == one["id"]
    assert json.loads(kept(atrium).read_text())["token"] != one["secret"]
