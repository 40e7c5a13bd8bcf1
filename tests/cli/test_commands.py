"""The commands, with their whole outputs."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from atrium_cli.failures import Exit
from atrium_cli.fields import ROLES
from local.template import ROOT
from tests.support.client import World
from tests.support.command import Atrium, environment
from tests.support.credentials import in_days


def lines(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


def table(item: Any, etag: str | None = None) -> dict[str, str]:
    """The fields of one thing as a table shows them, where each is on one line."""
    told = {name: "-" if value is None or value == [] else value for name, value in item.items()}
    return {name: str(value) for name, value in told.items()} | ({"ETag": etag} if etag else {})


def read(text: str) -> dict[str, str]:
    """A table of one thing, read again."""
    return {
        name: value
        for name, _, value in (line.partition("  ") for line in text.splitlines())
        for value in [value.strip()]
    }


def test_spaces_are_made_shown_changed_and_deleted(world: World, atrium: Atrium) -> None:
    made = atrium("spaces", "create", "Research [red]", "--description", "What may come of it.", "--owner-id", "null")
    shown = read(made.out)
    space = world("GET", f"/v1/spaces/{shown['id']}")
    assert shown == table(space.body, space.headers["etag"])
    assert made.err == ""
    assert atrium("spaces", "show", shown["id"]).out == made.out
    listed = atrium("spaces", "list")
    default, research = world.dev["tenants"]["acme"]["spaces"].values()
    assert listed.seen == (
        0,
        lines(
            "id, name                              description",
            research,
            "  research",
            default,
            "  Acme",
            f"{shown['id']}  What may come of it.",
            "  Research [red]",
        ),
        "",
    )
    changed = atrium.made("spaces", "update", shown["id"], "--name", "Lab", "--if-match", shown["ETag"])
    assert changed == world("GET", f"/v1/spaces/{shown['id']}").body
    assert (changed["name"], changed["description"]) == ("Lab", "What may come of it.")
    assert atrium("spaces", "list", "--only", "name").out == lines("research", "Acme", "Lab")
    assert atrium("spaces", "delete", shown["id"]).seen == (0, "Deleted.\n", "")
    assert world("GET", f"/v1/spaces/{shown['id']}").status == 404


@pytest.mark.parametrize("of", ["space", "project"])
def test_members_are_added_changed_and_removed(world: World, atrium: Atrium, of: str) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    place, group = [space], "spaces"
    if of == "project":
        place, group = [space, world.new_project().rpartition("/")[2]], "projects"
    outsider = world.uuid("outsider")
    added = atrium.made(group, "members", "add", *place, "--email", "outsider@acme.example", "--role", "viewer")
    assert (added["principal_id"], added["role_id"]) == (outsider, world.role("viewer"))
    manager = atrium.made(group, "members", "set", *place, outsider, "--role", world.role("manager"))
    assert manager["role_id"] == world.role("manager")
    shown = read(atrium(group, "members", "show", *place, outsider).out)
    assert (shown["principal_id"], shown["role_id"]) == (outsider, "manager")
    head, *rows = (line.split() for line in atrium(group, "members", "list", *place).out.splitlines())
    assert head == ["principal_id", "role", "created_at"]
    assert [outsider, "manager", f"{added['created_at'][:19]}Z"] in rows
    assert atrium(group, "members", "remove", *place, outsider, "--json").seen == (0, "", "")
    assert outsider not in atrium(group, "members", "list", *place).out


def test_principals_are_made_found_suspended_resumed_and_deleted(world: World, atrium: Atrium) -> None:
    ada = atrium.made("principals", "create", "Ada Lovelace", "--email", "Ada@acme.example", "--external-id", "00u1")
    assert ada == world("GET", f"/v1/principals/{ada['id']}").body
    robot = atrium.made("principals", "create", "CI", "--kind", "service")
    assert atrium("principals", "list", "--q", "love").seen == (
        0,
        lines(
            "id, name, email                       kind  status  tenant_role",
            f"{ada['id']}  user  active  member",
            "  Ada Lovelace",
            "  ada@acme.example",
        ),
        "",
    )
    for words, found in ((["--kind", "service"], [robot]), (["--external-id", "00u1"], [ada]), (["--q", "zz"], [])):
        assert atrium.made("principals", "list", *words) == found
    assert atrium("principals", "list", "--q", "zz").seen == (0, "", "There are none.\n")
    admin = atrium.made("principals", "update", ada["id"], "--tenant-role", "admin", "--external-id", "null")
    assert (admin["tenant_role"], admin["external_id"]) == ("admin", None)
    assert read(atrium("principals", "suspend", ada["id"]).out)["status"] == "suspended"
    assert atrium("principals", "list", "--status", "suspended", "--only", "id").out == f"{ada['id']}\n"
    assert read(atrium("principals", "resume", ada["id"]).out)["status"] == "active"
    assert atrium("principals", "delete", ada["id"]).seen == (0, "Deleted.\n", "")
    assert atrium("principals", "show", ada["id"]).exit == 6


def test_projects_are_made_changed_listed_and_deleted(world: World, atrium: Atrium) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    project = atrium.made("projects", "create", space, "Website", "--description", '{"summary": "New", "n": 1}')
    assert project["description"] == {"summary": "New", "n": 1}
    assert project == atrium.made("projects", "show", space, project["id"])
    member = world.new_member(f"{world.projects()}/{project['id']}", "contributor", "manager").rpartition("/")[2]
    mine = atrium("principals", "projects", "me")
    assert mine.seen == (
        0,
        lines(
            "project_id, space_id                    name     role",
            f"{project['id']}    Website  manager, named manager",
            f"  {space}",
        ),
        "",
    )
    handed = atrium.made("projects", "update", space, project["id"], "--manager-id", member, "--description", "Text")
    assert (handed["manager_id"], handed["description"]) == (member, "Text")
    archived = atrium.made("projects", "update", space, project["id"], "--status", "archived")
    assert atrium("projects", "list", space, "--status", "archived").seen == (
        0,
        lines(
            "id, name                              status    updated_at",
            f"{project['id']}  archived  {archived['updated_at'][:19]}Z",
            "  Website",
        ),
        "",
    )
    assert atrium("projects", "delete", space, project["id"]).seen == (0, "Deleted.\n", "")
    assert atrium.made("projects", "list", space) == []


def test_credentials_are_narrowed_changed_rotated_and_revoked(world: World, atrium: Atrium) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    project = world.new_project().rpartition("/")[2]
    words = ["credentials", "create", "me", "--kind", "api_key", "--name", "CI", "--days", "90"]
    words += ["--permission", "project:read", "--permission", "record:write"]
    made = atrium(*words, "--space", space, "--project-id", project)
    shown = made.out.splitlines()
    fields = read(made.out)
    credential = world("GET", f"/v1/principals/{world.uuid('owner')}/credentials/{fields['id']}").body
    assert credential["permissions"] == ["project:read", "record:write"]
    assert (credential["space_ids"], credential["project_ids"]) == ([space], [project])
    assert in_days(89.9) < credential["expires_at"] < in_days(90.1)
    assert (made.exit, made.err) == (0, "")
    assert fields["secret"].startswith("atr_key_")
    assert all(len(line) <= 80 for line in shown), shown
    assert atrium("credentials", "show", "me", fields["id"]).out == made.out.replace(
        f"secret        {fields['secret']}\n", ""
    )
    listed = atrium("credentials", "list", "me").out.splitlines()
    at = listed.index("  CI")
    assert listed[0].split() == ["id,", "name", "kind", "status", "expires_at"]
    assert listed[at - 1].split() == [fields["id"], "api_key", "active", f"{credential['expires_at'][:19]}Z"]
    changed = atrium.made("credentials", "update", "me", fields["id"], "--name", "Backup", "--days", "7")
    assert (changed["name"], changed["expires_at"] < credential["expires_at"]) == ("Backup", True)
    rotated = atrium("credentials", "rotate", "me", fields["id"], "--overlap-seconds", "0", "--only", "secret")
    assert (rotated.exit, rotated.err) == (0, "")
    for secret, status in ((fields["secret"], 401), (rotated.out.strip(), 200)):
        assert world("GET", "/v1/me", by=None, headers={"X-API-Key": secret}).status == status
    assert atrium("credentials", "revoke", "me", fields["id"], "--issued").seen == (0, "Revoked.\n", "")
    assert atrium.made("credentials", "show", "me", fields["id"])["status"] == "revoked"


def test_me_and_the_tenant_are_shown(world: World, atrium: Atrium) -> None:
    me = world("GET", "/v1/me")
    default, research = world.dev["tenants"]["acme"]["spaces"].values()
    assert atrium("me").seen == (
        0,
        lines(
            f"principal_id  {world.uuid('owner')}",
            f"id            {world.id('owner')}",
            f"tenant_id     {default}",
            "kind          user",
            "name          Owner of Acme",
            "email         owner@acme.example",
            "tenant_role   admin",
            f"spaces        {research}  owner, research",
            f"              {default}  owner, Acme",
            f"credential    id {me.body['credential']['id']}",
            "              kind token",
            "              name -",
            "              permissions all",
            "              space_ids all",
            "              project_ids all",
            "              expires_at never",
            f"ETag          {me.headers['etag']}",
        ),
        "",
    )
    assert atrium.made("tenant") == atrium.made("tenant", "show") == world("GET", "/v1/tenant").body
    assert atrium.made("tenant", "update", "--name", "Acme Corp")["name"] == "Acme Corp"


def test_events_tell_who_changed_what(world: World, atrium: Atrium) -> None:
    project = world.new_project().rpartition("/")[2]
    world.new_member(f"{world.projects()}/{project}", "viewer", "viewer")
    newest, first = atrium.made("events", "--project-id", project)
    assert [newest["type"], first["type"]] == ["member.added", "project.created"]
    by, key = f"by user {world.uuid('owner')}", f"with {newest['actor']['credential_id']}"
    assert atrium("events", "list", "--project-id", project, "--type", "member.*", "--type", "project.*").seen == (
        0,
        lines(
            "time, type            about, by, with credential",
            f"{newest['time'][:19]}Z  member {world.uuid('viewer')}",
            f"  member.added          {by}",
            f"                        {key}",
            f"{first['time'][:19]}Z  project {project}",
            f"  project.created       {by}",
            f"                        {key}",
        ),
        "",
    )
    assert atrium.made("events", "--project-id", project, "--order", "asc") == [], "they are younger than the watermark"
    shown = atrium("events", "show", first["id"]).out
    assert read(shown)["type"] == "project.created"
    assert json.dumps(first["resource"]["name"]) in shown


def test_deletion_is_asked_for_at_a_terminal_alone(world: World, atrium: Atrium, tmp_path: Path) -> None:
    def at_a_terminal(answer: str, *words: str) -> tuple[int, str]:
        terminal, stdin = pty.openpty()
        os.write(terminal, answer.encode())
        variables = {**os.environ, **environment(tmp_path)}
        run = [str(ROOT / "cli/atrium"), *words]
        done = subprocess.run(run, env=variables, stdin=stdin, capture_output=True, text=True, check=False)
        os.close(terminal)
        os.close(stdin)
        assert done.stdout in ("", "Deleted.\n", "suspended\n")
        return done.returncode, done.stderr

    space = world.new_space().rpartition("/")[2]
    question = "Delete this space for ever? [y/N] "
    assert at_a_terminal("n\n", "spaces", "delete", space) == (Exit.USAGE, f"{question}Error: Nothing was done.\n")
    assert atrium("spaces", "show", space).exit == 0
    assert at_a_terminal("y\n", "spaces", "delete", space) == (0, question)
    assert atrium("spaces", "show", space).exit == Exit.NOT_FOUND
    person = world.new_principal().rpartition("/")[2]
    assert at_a_terminal("", "principals", "suspend", person, "--only", "status") == (0, "")
    assert at_a_terminal("", "principals", "delete", person, "--yes") == (0, "")
    assert atrium("principals", "show", person).exit == Exit.NOT_FOUND
    for word, question in (
        ("suspend", "Suspend yourself? Only another admin can let you in again. [y/N] "),
        ("delete", "Delete yourself and your credentials for ever? [y/N] "),
    ):
        done = at_a_terminal("\n", "principals", word, "me")
        assert done == (Exit.USAGE, f"{question}Error: Nothing was done.\n")
    assert atrium.made("principals", "show", "me")["status"] == "active"


def test_lists_follow_their_cursors_up_to_a_limit(world: World, atrium: Atrium) -> None:
    ids = [world.new_space().rpartition("/")[2] for _ in range(103)]
    assert atrium("spaces", "list", "--only", "id").out.splitlines()[-103:] == ids
    some = atrium("spaces", "list", "--only", "id", "--limit", "101")
    assert len(some.out.splitlines()) == 101
    assert some.err == "These are 101, and there are more: --limit\n"
    assert atrium("spaces", "list", "--limit", "105").err == ""
    newest = atrium("events", "--only", "type")
    assert newest.seen == (0, "space.created\n" * 20, "These are 20, and there are more: --limit\n")


def test_tables_fit_into_80_columns_and_have_no_colour_but_on_a_terminal(world: World, atrium: Atrium) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    name = "A name of very many words, " * 7
    made = atrium("projects", "create", space, name, "--description", "words " * 60)
    world("POST", "/v1/principals", {"name": name, "email": f"{'a' * 60}@acme.example"})
    for done in (
        made,
        *(atrium(*words.split()) for words in ("principals list", f"projects list {space}", "events", "me")),
    ):
        assert done.exit == 0, done
        assert "\x1b" not in done.out
        assert all(len(line) <= 80 and line == line.rstrip() for line in done.out.splitlines()), done.out


def test_names_are_bold_on_a_terminal_unless_no_colour_is_wanted(atrium: Atrium) -> None:
    bold = atrium("tenant", FORCE_COLOR="1").out
    assert bold.startswith("\x1b[1mid")
    plain = atrium("tenant").out
    assert re.sub("\x1b\\[[0-9;]*m", "", bold).split() == plain.split()
    assert atrium("tenant", FORCE_COLOR="1", NO_COLOR="1").out.split() == plain.split()


def test_roles_of_the_command_line_are_those_of_the_api(world: World) -> None:
    assert {role["key"]: role["id"] for role in world("GET", "/v1/roles").body["data"]} == ROLES
