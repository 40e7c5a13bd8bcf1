"""schemathesis, which makes requests of the OpenAPI document and holds every answer against it, finds nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.template import ROOT
from tests.support.client import RECORDS, World, flat_id
from tests.support.live import served
from tests.support.requests import a_project
from tests.support.world import Count, full
from tools.openapi import DOCUMENT

# 412 does not mean a bad request. API Gateway has no 405: an unknown route is 404. A body in the right form may name an
# unknown principal or role, or a person outside the project; a PUT may keep an empty client name.
CONFIG = """
hooks = "tests.support.schemathesis_hooks"

[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "410", "412"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "409", "410", "412", "413", "415", "422"]
unsupported_method.enabled = false

# It would send the flat spelling of an id to v1. The document's own links are followed.
[phases.stateful.inference]
algorithms = []

[[operations]]
include-operation-id = [
  "create_task", "update_task", "reassign_task", "add_team_member", "update_project",
  "v1_create_task", "v1_update_task", "v1_add_member", "v1_update_member", "v1_update_project",
  "v1_create_space", "v1_add_space_member", "v1_update_space_member",
  "v1_update_principal", "v1_create_credential", "v1_update_credential",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "412", "422"]
"""

# How many of each are there to be deleted.
SPARE = 12

Ids = dict[str, list[str]]


def things(world: World) -> tuple[Ids, Ids, Ids]:
    """Ids by the parameters of v1 paths: of lasting resources, of resources to delete, and of a project to archive and
    hand over."""
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    project = a_project(world)
    member = [world.uuid("viewer")]

    def ids(paths: list[str]) -> list[str]:
        return [path.rpartition("/")[2] for path in paths]

    kept: Ids = {"space_id": [space], "project_id": ids([project]), "member_id": [world.uuid("contributor")]}
    kept["event_id"] = [event["id"] for event in world("GET", "/v1/events").body["data"]]
    doomed: Ids = {**kept, "member_id": member}
    for kind in RECORDS:
        kept[f"{kind[:-1]}_id"] = ids([world.new_record(project, kind)])
        doomed[f"{kind[:-1]}_id"] = ids([world.new_record(project, kind) for _ in range(SPARE)])
    whole = {"space_id": [space], "project_id": ids([world.new_project() for _ in range(SPARE)])}
    return kept, doomed, whole


def bound(scope: str, ids: Ids, dictionaries: list[str]) -> str:
    """The parameters of some operations: mostly ids of ours, in the spelling of the dialect, sometimes any."""
    v1 = "/v1/" in scope
    lines = [f"[[operations]]\n{scope}"]
    for name, values in ids.items():
        if name == "space_id" and not v1:
            continue
        own = name if v1 else {"project_id": "id", "member_id": "user_id"}.get(name, name)
        dictionary = f"d{len(dictionaries)}"
        shown = values if v1 else [flat_id(value) for value in values]
        dictionaries.append(f"[dictionaries.{dictionary}]\nvalues = {json.dumps(shown)}")
        lines.append(f'parameters."path.{own}" = {{ dictionary = "{dictionary}", probability = 0.9 }}')
    return "\n".join(lines)


def configuration(world: World) -> str:
    kept, doomed, whole = things(world)
    dictionaries: list[str] = []
    operations = []
    for start in ("/v1/", "/projects"):
        projects = "/v1/spaces/{space_id}/projects/{project_id}" if start == "/v1/" else "/projects/{id}"
        operations += [
            bound(f'include-path = "{projects}"', whole, dictionaries),
            bound(f'include-path-regex = "^{start}"\ninclude-method = "DELETE"', doomed, dictionaries),
            bound(f'include-path-regex = "^{start}"', kept, dictionaries),
        ]
    return "\n\n".join([CONFIG, *dictionaries, *operations])


@pytest.mark.timeout(full(300, 3_600))
def test_schemathesis_finds_no_failure(shared: World, tmp_path: Path, count: Count) -> None:
    """Every check; with the full number every phase, and other requests each time."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(configuration(shared))
    few = ["--phases", "examples,fuzzing", "--max-examples", "1", "--seed", "1"]
    size = (few, ["--max-examples", "20"])[full(0, 1)]
    with served(shared) as url:
        ran = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run", DOCUMENT),
                *("--url", url, "--header", f"X-API-Key: {shared.principal('owner')['api_key']}"),
                *("--no-color", "--generation-database", "none", *size),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            capture_output=True,
            text=True,
        )
    assert ran.returncode == 0, ran.stdout[-4000:]
    found = re.search(r"(\d+) generated", ran.stdout)
    assert found is not None
    count(requests=int(found[1]))
