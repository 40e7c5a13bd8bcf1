"""Chains of credentials, each issued with the one before: none does more than the first of them, or outlives it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from atrium.permissions import PERMISSIONS
from tests.support.client import World
from tests.support.credentials import NARROWED, asked, in_days, of, refusal, restore
from tests.support.world import Count, full


@pytest.fixture
def world(staffed: World) -> World:
    return staffed


@dataclass
class Link:
    """A credential of a chain: whose it is, what it is narrowed to, when it ends, its path, and its secret."""

    holder: str
    narrowed: dict[str, frozenset[str] | None]
    ends: str | None
    path: str
    secret: str

    def beyond(self, root: "Link") -> list[str]:
        """In what it is more than the root."""
        more = [
            part
            for part, most in root.narrowed.items()
            if most is not None and not (self.narrowed[part] or frozenset("*")) <= most
        ]
        return more + (["ends"] if root.ends is not None and (self.ends is None or self.ends > root.ends) else [])


PARTS = ("permissions", "space_ids", "project_ids")


def link(holder: str, answer: Any, path: str) -> Link:
    narrowed = {part: None if answer[part] is None else frozenset(answer[part]) for part in PARTS}
    return Link(holder, narrowed, answer["expires_at"], path, answer["secret"])


class Chains:
    """Draws what the links of chains ask for, and keeps what the API grants."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = random.Random(15)
        self.spaces = [*world.dev["tenants"]["acme"]["spaces"].values()]
        self.projects = [world.new_project(f"P{number}").rpartition("/")[2] for number in range(3)]
        self.every = {"permissions": list(PERMISSIONS), "space_ids": self.spaces, "project_ids": self.projects}
        self.ends = [in_days(days) for days in (1, 2, 3)]
        self.roles = [world.role(role) for role in ("viewer", "contributor", "manager")]
        self.member = f"{world.projects()}/{self.projects[0]}/members"
        self.refused = 0
        new = {"principal_id": world.uuid("outsider"), "role_id": self.roles[0]}
        assert world("POST", self.member, new).status == 201

    def chain(self) -> list[Link]:
        root = self.issued(None, self.chance.choice(CHAINED))
        assert root is not None
        chain = [root]
        steps = (self.issue, self.issue, self.issue, self.shorten, self.rotate, self.change_role)
        for step in self.chance.choices(steps, k=self.chance.randint(2, 6)):
            step(chain)
        return chain

    def drawn(self, by: Link | None) -> dict[str, Any]:
        """Mostly some of what the issuer has; and sometimes in a part what it has not."""
        asks: dict[str, Any] = {}
        for part, values in self.every.items():
            own = by.narrowed[part] if by else None
            stays = own is not None and self.chance.random() < 0.95
            if stays or self.chance.random() < 0.3:
                among = sorted(own) if stays and own is not None else values
                asks[part] = self.chance.sample(among, self.chance.randint(1, len(among)))
        must_end = by is not None and by.ends is not None and self.chance.random() < 0.95
        if must_end or self.chance.random() < 0.3:
            asks["expires_at"] = self.ends[0] if must_end else self.chance.choice(self.ends)
        return asks

    def issued(self, by: Link | None, holder: str) -> Link | None:
        body = {"kind": "token", "name": "L", **self.drawn(by)}
        path = of(self.world, holder)
        if by is None:
            answer = self.world("POST", path, body, by=holder)
        else:
            answer = asked(self.world, by.secret, "POST", path, body)
        if answer.status != 201:
            self.refused += 1
            return None
        return link(holder, answer.body, f"{path}/{answer.body['id']}")

    def issue(self, chain: list[Link]) -> None:
        """By the last link, or by another one."""
        by = self.chance.choice((chain[-1], self.chance.choice(chain)))
        may_for_others = by.holder in ADMINS and not (by.narrowed["space_ids"] or by.narrowed["project_ids"])
        asks_for_others = may_for_others or self.chance.random() < 0.1
        others = (self.chance.choice(SERVICES), self.chance.choice(CHAINED)) if asks_for_others else ()
        found = self.issued(by, self.chance.choice((by.holder, by.holder, *others)))
        chain += [found] if found else []

    def shorten(self, chain: list[Link]) -> None:
        by, target = self.chance.choice(chain), self.chance.choice(chain)
        answer = asked(self.world, by.secret, "PATCH", target.path, {"expires_at": self.chance.choice(self.ends)})
        self.refused += answer.status != 200

    def rotate(self, chain: list[Link]) -> None:
        by, target = self.chance.choice(chain), self.chance.choice(chain)
        answer = asked(self.world, by.secret, "POST", f"{target.path}/rotate", {"overlap_seconds": 60})
        if answer.status != 200:
            self.refused += 1
            return
        rotated = link(target.holder, answer.body, target.path)
        now = self.now([target, by])
        assert not rotated.beyond(now[0]), "a rotation widens nothing"
        assert not rotated.beyond(now[1]), "nor gives more than who rotates has"
        target.secret = rotated.secret

    def change_role(self, chain: list[Link]) -> None:
        body = {"role_id": self.chance.choice(self.roles)}
        assert self.world("PATCH", f"{self.member}/{self.world.uuid('outsider')}", body).status == 200

    def now(self, links: Sequence[Link]) -> list[Link]:
        """As they are now: an earlier end may have come to them from their issuers."""
        shown: dict[str, Any] = {}
        for holder in {each.holder for each in links}:
            after: str | None = ""
            while after is not None:
                page = self.world("GET", f"{of(self.world, holder)}?limit=100{after}", by="admin").body
                shown |= {f"{of(self.world, holder)}/{each['id']}": each for each in page["data"]}
                after = page["meta"]["next_cursor"] and f"&cursor={page['meta']['next_cursor']}"
        return [link(each.holder, {**shown[each.path], "secret": each.secret}, each.path) for each in links]


ADMINS = ("admin", "robot admin")
SERVICES = ("robot", "robot admin")
CHAINED = ("admin", "robot", "robot admin", "person", "outsider")

# Chains between two looks at what all their links have become: a principal has fifty live credentials at the most.
TOGETHER = 8


@pytest.mark.timeout(full(300, 14_400))
def test_no_credential_of_a_chain_can_do_more_than_its_root_or_outlives_it(world: World, count: Count) -> None:
    """Chains of issue, narrow, rotate, an earlier end, and change of role, drawn with a seed: each asks for more or for
    less than it has, for the same holder or another one. Each link is compared with its root as the API shows both
    afterwards, and the last one tries what the root is refused for its narrowing."""
    chains = Chains(world)
    assert world.table is not None
    before = world.table.items()
    left = full(500, 10_000)
    while left:
        some = [chains.chain() for _ in range(min(TOGETHER, left))]
        now = iter(chains.now([each for chain in some for each in chain]))
        for chain in some:
            root, *others = (next(now) for _ in chain)
            for each in others:
                assert not each.beyond(root), (root, each)
            if others:
                require_no_more(chains, root, others[-1])
            count(chains=1, links=len(others))
        left -= len(some)
        restore(world, before)
    count(refused=chains.refused)
    assert chains.refused


def require_no_more(chains: Chains, root: Link, last: Link) -> None:
    """The last link does nothing that its root is refused for its narrowing. `make test` tries half of it."""
    world, spaces, projects = chains.world, chains.spaces, chains.projects
    if not any(most is not None for most in root.narrowed.values()):
        return
    tries: list[tuple[str, str, Any]] = [
        ("GET", f"/v1/spaces/{spaces[0]}", None),
        ("GET", f"/v1/spaces/{spaces[0]}/projects/{projects[1]}", None),
        ("PATCH", f"/v1/spaces/{spaces[0]}/projects/{projects[2]}", {"name": "P"}),
        ("GET", "/v1/events?limit=1", None),
    ]
    for method, path, body in chains.chance.sample(tries, full(2, 4)):
        if refusal(asked(world, root.secret, method, path, body)) == NARROWED:
            assert asked(world, last.secret, method, path, body).status == 403, (method, path)
