"""Concurrent changes: no update is lost, no row is orphaned, and a project keeps one manager."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.support.client import (
    Answer,
    every_page,
    flat_id,
)
from tests.support.requests import FLAT
from tests.support.rows import rows_naming
from tests.support.world import Crowd, at_once, full


def test_new_project_is_in_the_next_list_of_both_dialects(crowd: Crowd) -> None:
    world = partial(crowd.world, tenant="globex")
    projects = crowd.world.projects(tenant="globex")
    for number in range(full(40, 200)):
        path, body = ("/projects", FLAT) if number % 2 else (projects, {"name": "Apollo"})
        created = world("POST", path, body).body
        id = created["_id"] if "_id" in created else flat_id(created["id"])
        assert id in {item["_id"] for item in world("GET", "/projects").body}
        assert id in {flat_id(item["id"]) for item in every_page(world, projects)}


def test_16_clients_with_if_match_lose_no_update(crowd: Crowd) -> None:
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    rounds = full(5, 20)

    def client(number: int) -> list[int]:
        statuses = []
        for turn in range(rounds):
            tag = world("GET", project).headers["etag"]
            body = {"name": f"{number} {turn}"}
            statuses.append(world("PATCH", project, body, headers={"If-Match": tag}).status)
        return statuses

    with ThreadPoolExecutor(16) as threads:
        statuses = [status for answers in threads.map(client, range(16)) for status in answers]
    assert set(statuses) <= {200, 412}
    assert statuses.count(200) == world("GET", project).version - 1
    assert statuses.count(412) > 0, "the clients never met"


def test_16_clients_without_if_match_all_succeed(crowd: Crowd) -> None:
    world = crowd.world
    crowd.proxy.conflicts = True
    project = world.new_project()
    rounds = full(5, 20)

    def client(number: int) -> list[Answer]:
        return [world("PATCH", project, {"name": f"{number} {turn}"}) for turn in range(rounds)]

    with ThreadPoolExecutor(16) as threads:
        answers = [answer for made in threads.map(client, range(16)) for answer in made]
    assert {answer.status for answer in answers} == {200}
    assert sorted(answer.version for answer in answers) == list(range(2, 16 * rounds + 2))
    last = max(answers, key=lambda answer: answer.version)
    assert world("GET", project).body == last.body


@pytest.mark.parametrize("rival", ["removal", "demotion"])
def test_hand_over_during_removal_of_the_new_manager_keeps_one_manager(crowd: Crowd, rival: str) -> None:
    world = crowd.world
    outcomes = set()
    for number in range(full(15, 100)):
        crowd.proxy.conflicts = number % 2 == 0
        project = world.new_project()
        heir = world.new_member(project, "viewer", "manager")
        leave = ("DELETE", heir) if rival == "removal" else ("PATCH", heir, {"role_id": world.role("contributor")})
        hand_over, left = at_once(
            partial(world, "PATCH", project, {"manager_id": world.uuid("viewer")}), partial(world, *leave)
        )
        assert hand_over.status in (200, 422)
        assert left.status in (200, 204, 409)
        outcomes.add((hand_over.status, left.status))
        manager = world("GET", project).body["manager_id"]
        assert manager == world.uuid("viewer" if hand_over.status == 200 else "owner")
        member = world("GET", f"{project}/members/{manager}")
        assert (member.status, member.body["role_id"]) == (200, world.role("manager"))
    allowed = {(200, 409), (422, 204)} if rival == "removal" else {(200, 409), (200, 200)}
    assert outcomes <= allowed


def test_member_added_during_deletion_of_its_project_is_not_orphaned(crowd: Crowd) -> None:
    world = crowd.world
    for _ in range(full(10, 100)):
        project = world.new_project()
        body = {"principal_id": world.uuid("viewer"), "role_id": world.role("viewer")}
        deleted, added = at_once(partial(world, "DELETE", project), partial(world, "POST", f"{project}/members", body))
        assert deleted.status == 204
        assert added.status in (201, 404)
        assert world("GET", project).status == 404
        assert world("GET", f"{project}/members").status == 404
        once = 2 if added.status == 201 else 1
        assert rows_naming(crowd, flat_id(project.rpartition("/")[2])) == [
            "P META",
            *["P ROLE"] * once,
            "PURGE",
            *["U PROJECT"] * once,
        ], "in no list, and nothing that the purge would not find"
