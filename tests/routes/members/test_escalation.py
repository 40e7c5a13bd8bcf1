"""Changes of roles above the own are refused, for every actor, target, role and route.

A change is refused too when the actor has lost the role by the time of the commit.
"""

import os
from collections.abc import Iterator
from contextvars import Context
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from atrium import keys
from atrium.keys import Key
from atrium.store.engine.client import dynamodb
from atrium.store.engine.table import Item, Table
from local.functions import call
from local.gateway import Gateway
from local.template import Template
from tests.support.client import Answer, World, flat_id, flat_path, through, v1_id
from tests.support.clock import Workers
from tests.support.rows import Rows, set_space_roles
from tests.support.world import Count, full

# The permissions of the design's table of roles: a manager and stronger roles manage members and hand over.
RANKS = ("none", "viewer", "contributor", "manager", "owner")
OF_PROJECTS = ("viewer", "contributor", "manager")
OF_SPACES = (*OF_PROJECTS, "owner")

# The target is the actor, the named manager, a person outside the project, or a member with the role.
TARGETS = ("self", "named", "nobody", *OF_PROJECTS)


@dataclass(frozen=True)
class Actor:
    """A caller with a role in the space, in the project, or both."""

    space: str
    project: str

    @property
    def name(self) -> str:
        return f"{self.space} of the space, {self.project} of the project"

    @property
    def role(self) -> str:
        """The stronger one."""
        return max(self.space, self.project, key=RANKS.index)


@dataclass(frozen=True)
class Attempt:
    """A route that changes a role, on a target; `role` is the one that it is to have, "none" for none."""

    route: str
    target: str
    role: str

    @property
    def leaves(self) -> bool:
        """A target may always remove itself."""
        return self.target == "self" and self.route in ("V1RemoveMember", "RemoveTeamMember")


ATTEMPTS = [
    *(Attempt("V1AddMember", target, role) for target, role in product(TARGETS, OF_SPACES)),
    *(Attempt("V1UpdateMember", target, role) for target, role in product(TARGETS, OF_SPACES)),
    *(Attempt("V1UpdateProject", target, "manager") for target in TARGETS),
    *(Attempt("V1RemoveMember", target, "none") for target in TARGETS),
    *(Attempt("AddTeamMember", target, "contributor") for target in TARGETS),
    *(Attempt("RemoveTeamMember", target, "none") for target in TARGETS),
]


def is_allowed(actor: Actor, attempt: Attempt, before: str) -> bool:
    """The expectation by the design alone. `before` is the role of the target in the project."""
    rank = RANKS.index
    if attempt.leaves:
        return before != "none"
    if rank(actor.role) < rank("manager") or max(rank(before), rank(attempt.role)) > rank(actor.role):
        return False
    if attempt.role == "owner":  # of spaces only
        return False
    if attempt.route in ("V1AddMember", "AddTeamMember"):
        return before == "none"
    # The named manager is not removed or demoted, but by a hand-over.
    return before != "none" and (attempt.target != "named" or attempt.role == "manager")


# Each role alone; and two roles, of which the one in the space permits less, or more.
TWO_ROLES = [Actor("viewer", "manager"), Actor("manager", "viewer")]
EVERY_ACTOR = [Actor(space, project) for space, project in product(("none", *OF_SPACES), ("none", *OF_PROJECTS))]
ACTORS = [actor for actor in EVERY_ACTOR if "none" in (actor.space, actor.project) or actor in TWO_ROLES or full(0, 1)]


def name_of(role: str) -> str:
    return f"holds {role} in the space"


@dataclass
class Stage:
    """A project with a target of each kind, and its rows at the start."""

    world: World
    rows: Rows
    project: str

    def person(self, actor: Actor, target: str) -> str:
        """The v1 id of a target."""
        names = {"self": name_of(actor.space), "named": "owner"}
        return self.world.uuid(names.get(target, f"target {target}"))

    def roles(self) -> dict[str, str]:
        """The roles in the project by principal, from the table itself."""
        pk = keys.project(self.tenant, flat_id(self.project.rpartition("/")[2])).pk
        members = (row for row in self.rows.all() if row["pk"] == pk and row["sk"].startswith(keys.ROLE))
        return {v1_id(row["principal"]): row["role"] for row in members}

    @property
    def tenant(self) -> str:
        return flat_id(self.world.dev["tenants"]["acme"]["tenant_id"])

    def make(self, actor: Actor, attempt: Attempt) -> Answer:
        """The attempt, by the actor."""
        world, project, person = self.world, self.project, self.person(actor, attempt.target)
        role = {"role_id": world.role(attempt.role)} if attempt.role != "none" else {}
        requests: dict[str, tuple[str, str, Any]] = {
            "V1AddMember": ("POST", f"{project}/members", {"principal_id": person, **role}),
            "V1UpdateMember": ("PATCH", f"{project}/members/{person}", role),
            "V1RemoveMember": ("DELETE", f"{project}/members/{person}", None),
            "V1UpdateProject": ("PATCH", project, {"manager_id": person}),
            "AddTeamMember": ("POST", f"{flat_path(project)}/team", {"id": flat_id(person)}),
            "RemoveTeamMember": ("DELETE", f"{flat_path(project)}/team/{flat_id(person)}", None),
        }
        method, path, body = requests[attempt.route]
        return world(method, path, body, by=name_of(actor.space))


@pytest.fixture(scope="module")
def stage(shared: World, template: Template) -> Stage:
    acme = shared.dev["tenants"]["acme"]
    people: dict[str, dict[str, str]] = {
        **{name_of(role): {"default": role} if role != "none" else {} for role in ("none", *OF_SPACES)},
        **{f"target {kind}": {} for kind in ("nobody", *OF_PROJECTS)},
    }
    principals = [
        {"name": name, "email": f"p{number}@acme.example", "roles": roles, "credentials": [{"kind": "token"}]}
        for number, (name, roles) in enumerate(people.items())
    ]
    made: list[Any] = []
    for first in range(0, len(principals), 5):  # one transaction holds no more
        some = principals[first : first + 5]
        request = {"request_token": f"actors-{first}", "tenant_id": acme["tenant_id"], "principals": some}
        made += call(template.functions["Provision"], request)["principals"]
    for name, person in zip(people, made, strict=True):
        acme["principals"][name] = {**person, "token": person["credentials"][0]["secret"]}
    project = shared.new_project()
    for role in OF_PROJECTS:
        shared.new_member(project, f"target {role}", role)
    return Stage(shared, Rows(dynamodb(), os.environ["TABLE_NAME"]), project)


def taken(stage: Stage) -> dict[Key, Item]:
    return {Key(row["pk"], row["sk"]): row for row in stage.rows.all()}


@pytest.fixture
def actor(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Actor]:
    """A caller with these roles during the test, after a first request: it notes the first use of the credential."""
    actor: Actor = request.param
    assert stage.world("GET", "/v1/me", by=name_of(actor.space)).status == 200
    rows = taken(stage)
    if actor.project != "none":
        stage.world.new_member(stage.project, name_of(actor.space), actor.project)
    yield actor
    stage.rows.restore(rows)


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name, indirect=True)
def test_granting_or_changing_a_role_above_the_own_is_refused(stage: Stage, actor: Actor, count: Count) -> None:
    """A refusal changes no row; a success changes only the one role."""
    before, rows = stage.roles(), taken(stage)
    allowed = refused = 0
    for attempt in ATTEMPTS:
        target = stage.person(actor, attempt.target)
        expected = is_allowed(actor, attempt, before.get(target, "none"))
        if expected and refused:
            assert taken(stage) == rows, "by a refused one before"
            refused = 0
        answer = stage.make(actor, attempt)
        assert (answer.status < 300) == expected, (attempt, answer)
        assert answer.status in ((200, 201, 202, 204) if expected else (403, 404, 409, 422, 400)), (attempt, answer)
        if RANKS.index(actor.role) < RANKS.index("manager") and not attempt.leaves:
            assert answer.status == 403, (attempt, answer)
        if not expected:
            refused += 1
            continue
        allowed += 1
        after = {**before, target: attempt.role}
        assert stage.roles() == {person: role for person, role in after.items() if role != "none"}, attempt
        assert RANKS.index(attempt.role) <= RANKS.index(actor.role)
        stage.rows.restore(rows)
    assert taken(stage) == rows
    assert bool(allowed) == (RANKS.index(actor.role) >= RANKS.index("manager") or actor.project != "none")
    count(attempts=len(ATTEMPTS), allowed=allowed)


# ---------------------------------------------------------------- a role lost before the commit

MANAGERS = [Actor("manager", "none"), Actor("owner", "none"), Actor("none", "manager")]
CHANGES = [
    Attempt("V1AddMember", "nobody", "manager"),
    Attempt("V1UpdateMember", "viewer", "manager"),
    Attempt("V1UpdateMember", "manager", "viewer"),
    Attempt("V1RemoveMember", "contributor", "none"),
    Attempt("V1UpdateProject", "viewer", "manager"),
    Attempt("AddTeamMember", "nobody", "contributor"),
    Attempt("RemoveTeamMember", "manager", "none"),
]


@pytest.fixture(scope="module")
def other(stage: Stage, template: Template) -> Iterator[World]:
    """The same API, served by another process."""
    workers = Workers(os.environ, size=1)
    yield World(through(Gateway(template.api, template.functions, workers, template.stage)), stage.world.dev)
    workers.stop()


def lose(stage: Stage, other: World, actor: Actor, left: str) -> dict[Key, Item]:
    """Leaves the actor with a lower role, or none, and returns all rows. No route changes roles in spaces: that is done
    in the table.
    """
    member = f"{stage.project}/members/{stage.world.uuid(name_of(actor.space))}"
    if actor.project == "none":
        set_space_roles(stage.world, name_of(actor.space), {stage.tenant: left} if left != "none" else {})
    elif left == "none":
        assert other("DELETE", member).status == 204
    else:
        assert other("PATCH", member, {"role_id": other.role(left)}).status == 200
    return taken(stage)


@pytest.mark.parametrize("left", ["none", "viewer", "contributor"])
@pytest.mark.parametrize("actor", MANAGERS, ids=lambda actor: actor.name, indirect=True)
def test_change_after_a_role_lost_before_the_commit_is_refused(
    stage: Stage, other: World, monkeypatch: pytest.MonkeyPatch, actor: Actor, left: str
) -> None:
    commit = Table.transact
    rows = taken(stage)
    for attempt in CHANGES:
        then: list[Any] = []

        def transact(table: Table, writes: Any, token: str, then: list[Any] = then) -> None:
            monkeypatch.setattr(Table, "transact", commit)
            # Not in the name of the function that runs.
            then.append(Context().run(lose, stage, other, actor, left))
            commit(table, writes, token)

        monkeypatch.setattr(Table, "transact", transact)
        answer = stage.make(actor, attempt)
        assert answer.status == 403, (attempt, answer)
        assert [taken(stage)] == then, attempt
        stage.rows.restore(rows)


@pytest.mark.parametrize("actor", MANAGERS, ids=lambda actor: actor.name, indirect=True)
def test_the_same_changes_succeed_with_the_role_kept(stage: Stage, actor: Actor) -> None:
    """Proves that the refusals above come from the lost role."""
    rows = taken(stage)
    for attempt in CHANGES:
        assert stage.make(actor, attempt).status < 300, attempt
        stage.rows.restore(rows)
