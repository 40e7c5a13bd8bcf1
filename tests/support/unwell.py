"""A table of which some calls fail, and a client that compares each answer with its acknowledged changes."""

import random
import threading
from collections import Counter
from typing import Any

from tests.support.client import (
    MISSING,
    RECORDS,
    Answer,
    World,
    flat_id,
    flat_path,
    in_camel_case,
    new_key,
    v1_id,
)


class Unwell:
    """Hooks of a proxy that let a part of the calls fail: refused, dropped on the way, or lost on the way back."""

    REFUSED = ("ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError", "503")

    def __init__(self, seed: str, part: float = 0.3) -> None:
        self._random = random.Random(seed)
        self._part = part
        self._lost: dict[int, str] = {}
        self.failed: Counter[str] = Counter()

    def before(self, operation: str, request: dict[str, Any]) -> str | None:
        if self._random.random() > self._part:
            return None
        kind = self._random.choice((*self.REFUSED, "conflict", "dropped", "lost", "lost to a 502"))
        self.failed[kind] += 1
        if kind == "dropped":
            raise ConnectionResetError
        if kind.startswith("lost"):
            self._lost[threading.get_ident()] = kind
            return None
        if kind == "conflict":
            return "TransactionConflict" + ("" if operation.startswith("Transact") else "Exception")
        return kind

    def after(self, operation: str, request: dict[str, Any]) -> str | None:
        kind = self._lost.pop(threading.get_ident(), None)
        if kind == "lost":
            raise ConnectionResetError
        return "502" if kind else None


class Client:
    """Somebody at work on a project of their own, who knows what is in it by what was acknowledged."""

    def __init__(self, world: World, seed: str) -> None:
        self._world = world
        self._random = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.project = f"{world.projects()}/{self._write('POST', world.projects(), {'name': 'Apollo'}).body['id']}"
        self.sequence = 1
        # By id in the v1 spelling: name, checkbox, version.
        self.tasks: dict[str, tuple[str, bool, int]] = {}
        self.team: list[str] = []

    def work(self) -> None:
        """A few requests of one kind."""
        kinds = [self.create, self.create, self.rename, self.rename, self.toggle, self.delete]
        kinds += [self.join_or_leave, self.read, self.read, self.read_all]
        self._random.choice(kinds)()

    def create(self) -> None:
        flat, name = self._random.random() < 0.5, new_key()
        fields = RECORDS["tasks"] | {"name": name}
        path, body = (flat_path(self.project), in_camel_case(fields)) if flat else (self.project, fields)
        made = self._write("POST", f"{path}/tasks", body).body
        self.tasks[v1_id(made["_id"]) if flat else made["id"]] = (name, False, 1)
        self.sequence += 1

    def rename(self) -> None:
        if self.tasks:
            task, (_, done, version) = self._random.choice(list(self.tasks.items()))
            name = new_key()
            etag = self._write("PATCH", f"{self.project}/tasks/{task}", {"name": name}).headers["etag"]
            assert etag == f'"v-{version + 1}"'
            self.tasks[task] = (name, done, version + 1)
            self.sequence += 1

    def toggle(self) -> None:
        if self.tasks:
            task, (name, done, version) = self._random.choice(list(self.tasks.items()))
            answer = self._write("PATCH", f"{flat_path(self.project)}/tasks/{flat_id(task)}/completed", {})
            assert answer.body["completed"] is not done
            self.tasks[task] = (name, not done, version + 1)
            self.sequence += 1

    def delete(self) -> None:
        if self.tasks:
            task = self._random.choice(list(self.tasks))
            self._write("DELETE", f"{self.project}/tasks/{task}")
            del self.tasks[task]
            self.sequence += 1

    def join_or_leave(self) -> None:
        if self.team:
            self._write("DELETE", f"{flat_path(self.project)}/team/{self.team.pop()}")
        else:
            self._write("POST", f"{flat_path(self.project)}/team", {"id": self._world.id("viewer")})
            self.team.append(self._world.id("viewer"))
        self.sequence += 1

    def read(self) -> None:
        if self.tasks:
            task, (name, done, version) = self._random.choice(list(self.tasks.items()))
            answer = self._send("GET", f"{self.project}/tasks/{task}")
            assert (answer.body["name"], answer.body["completed"]) == (name, done)
            assert answer.headers["etag"] == f'"v-{version}"'

    def read_all(self) -> None:
        """What was acknowledged is there as it was sent, once, and nothing else; so is the count of changes."""
        whole = self._send("GET", flat_path(self.project))
        assert whole.headers["etag"] == f'"f-{self.sequence}"'
        assert [task["_id"] for task in whole.body["tasks"]] == sorted(map(flat_id, self.tasks))
        assert {task["name"] for task in whole.body["tasks"]} == {name for name, _, _ in self.tasks.values()}
        assert whole.body["team"] == self.team

    def _write(self, method: str, path: str, body: Any = None) -> Answer:
        key = new_key()
        first = self._send(method, path, body, key)
        if self._random.random() < 0.2:
            again = self._send(method, path, body, key)
            assert (again.status, again.content, again.replayed) == (first.status, first.content, True)
        return first

    def _send(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """What is answered at last; who is not is told to come again."""
        self.sent["requests"] += 1
        by = self._random.choice(("owner", "contributor")) if method == "GET" else "owner"
        for _ in range(20):
            answer = self._world(method, path, MISSING if body is None else body, key=key, by=by)
            if answer.status < 300:
                return answer
            assert (answer.status, answer.headers.get("retry-after")) == (503, "1"), answer
            self.sent["busy"] += 1
        raise AssertionError("busy for ever")
