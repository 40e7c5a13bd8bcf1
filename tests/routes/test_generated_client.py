"""A client that a generator makes of the OpenAPI document works with the API, in both dialects."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tests.support.client import World
from tests.support.clock import NET
from tests.support.live import served
from tools.openapi import DOCUMENT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the client was generated."""
    made = tmp_path_factory.mktemp("generated")
    config = made / "config.yml"
    config.write_text("post_hooks: []\n")
    command = ["generate", "--path", str(DOCUMENT), "--meta", "none", "--output-path", str(made / "atrium_client")]
    ran = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *command, "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=NET,
    )
    assert (ran.returncode, "WARNING" in ran.stdout + ran.stderr) == (0, False), ran.stdout[-2000:]
    return made


@pytest.fixture
def client(shared: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The generated models, and a function that calls an operation of a group as the owner."""
    monkeypatch.syspath_prepend(folder)
    package = importlib.import_module("atrium_client")
    with served(shared) as url:
        http = package.AuthenticatedClient(base_url=url, token=shared.principal("owner")["token"])

        def ask(operation: str, *path: Any, **options: Any) -> Any:
            group, _, name = operation.partition(".")
            module = importlib.import_module(f"atrium_client.api.{group}.{name}")
            return module.sync_detailed(*path, client=http, **options)

        yield SimpleNamespace(ask=ask, models=importlib.import_module("atrium_client.models"))


def test_generated_client_creates_lists_changes_and_deletes_in_flat(client: SimpleNamespace) -> None:
    ask, models = client.ask, client.models
    body = models.NewProject(project_name="Apollo", client_name="Acme", description="To the moon")
    made = ask("flat_projects.create_project", body=body, idempotency_key="generated-flat")
    again = ask("flat_projects.create_project", body=body, idempotency_key="generated-flat")
    assert (made.status_code, again.parsed, again.headers["idempotent-replayed"]) == (201, made.parsed, "true")
    project = made.parsed
    revision = models.ProjectRevision(project_name="Gemini", client_name="Acme", description="Around the earth")
    changed = ask("flat_projects.update_project", project.field_id, body=revision, if_match=made.headers["etag"])
    assert (changed.status_code, changed.parsed.project_name) == (200, "Gemini")
    late = ask("flat_projects.update_project", project.field_id, body=revision, if_match=made.headers["etag"])
    assert (late.status_code, type(late.parsed)) == (412, models.FlatError)
    new_task = models.NewTask(name="Build", description="A rocket", phase=models.Phase.BUSINESS)
    task = ask("flat_tasks.create_task", project.field_id, body=new_task).parsed
    status = models.TaskStatusChange(status=models.TaskStatus.INPROGRESS)
    moved = ask("flat_tasks.set_task_status", project.field_id, task.field_id, body=status).parsed
    assert (moved.status, moved.started_at.tzinfo is not None) == (models.TaskStatus.INPROGRESS, True)
    assert [each.field_id for each in ask("flat_tasks.list_tasks", project.field_id).parsed] == [task.field_id]
    listed = ask("flat_projects.list_projects").parsed
    assert [each.field_id for each in listed[-1].tasks] == [task.field_id]
    gone = ask("flat_projects.delete_project", project.field_id)
    assert (gone.status_code, gone.parsed.message) == (200, "Project deleted successfully.")
    missing = ask("flat_projects.get_project", project.field_id)
    assert (missing.status_code, missing.parsed.error) == (404, "Project not found.")


def test_generated_client_creates_lists_changes_and_deletes_in_v1(client: SimpleNamespace, shared: World) -> None:
    ask, models = client.ask, client.models
    me = ask("v1_caller.v1_get_me").parsed
    assert isinstance(me.principal_id, UUID)
    space = UUID(shared.dev["tenants"]["acme"]["spaces"]["default"])
    made = ask("v1_projects.v1_create_project", space, body=models.V1NewProject(name="Apollo", description=None))
    project = made.parsed
    assert (made.status_code, project.manager_id, project.status) == (201, me.principal_id, models.ProjectStatus.ACTIVE)
    change = models.V1ProjectChange(name="Gemini")
    changed = ask("v1_projects.v1_update_project", space, project.id, body=change, if_match=made.headers["etag"])
    assert (changed.status_code, changed.parsed.name, changed.parsed.description) == (200, "Gemini", None)
    roles = {role.key: role.id for role in ask("v1_caller.v1_list_roles").parsed.data}
    viewer = UUID(shared.uuid("viewer"))
    member = models.V1NewMember(principal_id=viewer, role_id=roles["viewer"])
    assert ask("v1_members.v1_add_member", space, project.id, body=member).parsed.role_id == roles["viewer"]
    twice = ask("v1_members.v1_add_member", space, project.id, body=member)
    assert (twice.status_code, type(twice.parsed)) == (409, models.V1Error)
    promoted = models.V1MemberChange(role_id=roles["manager"])
    answer = ask("v1_members.v1_update_member", space, project.id, viewer, body=promoted)
    assert answer.parsed.role_id == roles["manager"]
    page = ask("v1_members.v1_list_members", space, project.id, limit=1).parsed
    rest = ask("v1_members.v1_list_members", space, project.id, limit=1, cursor=page.meta.next_cursor).parsed
    assert {each.principal_id for each in page.data + rest.data} == {viewer, me.principal_id}
    assert (rest.meta.has_more, rest.meta.next_cursor) == (False, None)
    refused = ask("v1_members.v1_update_member", space, project.id, viewer, body=models.V1MemberChange(role_id=space))
    assert (refused.status_code, refused.parsed.detail[0].loc) == (422, ["body", "role_id"])
    assert ask("v1_members.v1_remove_member", space, project.id, viewer).status_code == 204
    assert ask("v1_projects.v1_delete_project", space, project.id).status_code == 204
    assert ask("v1_projects.v1_get_project", space, project.id).status_code == 404
    assert project.id not in {each.id for each in ask("v1_projects.v1_list_projects", space).parsed.data}
