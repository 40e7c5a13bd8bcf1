"""A mistake in the code above the wall neither shows nor changes anything of another tenant."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from atrium import keys
from atrium.api import authorizer, resolver
from atrium.api.paging import cursor_behind
from atrium.automation import commands as automation
from atrium.automation import reactions, streams
from atrium.keys import Key
from atrium.models import Caller
from atrium.store import change, projects, purge, rows, whole
from atrium.store.access import Access
from atrium.store.credentials import Credentials
from atrium.store.engine import wall
from atrium.store.engine.scope import scope
from atrium.store.engine.table import Item, Range, Table, starting_with
from atrium.store.engine.wall import TenantWall
from atrium.store.engine.work import Work
from atrium.store.principals import acting
from atrium.store.purge import Purge
from local.functions import FunctionFailed, call
from local.template import Template
from tests.support.automation import WITHOUT_URL, sample
from tests.support.client import World, flat_id, flat_path, new_key, v1_id
from tests.support.requests import EVERY_ROUTE, a_project
from tests.support.rows import Rows, rows_here


@dataclass
class Scene:
    """A project of acme, the caller, and one of globex, another tenant. Ids are in Atrium's own form."""

    world: World
    template: Template
    rows: Rows
    project: str
    foreign: str

    def tenant(self, name: str) -> str:
        return flat_id(self.world.dev["tenants"][name]["tenant_id"])

    @property
    def globex(self) -> str:
        return self.tenant("globex")

    @property
    def secret(self) -> str:
        return flat_id(self.foreign.rpartition("/")[2])

    def rows_of(self, tenant: str) -> list[Item]:
        """All rows of a tenant, in every partition."""
        return [row for row in self.rows.all() if self.tenant(tenant) in row["pk"] + row["sk"]]

    def prepared(self, name: str) -> Callable[[], str]:
        """Acme's request to a function, on its own project. Calling it sends the request, and returns the text shown to
        the caller.
        """
        if name in EVERY_ROUTE:
            return self.request(*EVERY_ROUTE[name](self.world, self.project))
        function = self.template.functions[name]
        event = WITHOUT_URL[name](self.world, sample(function))[-1]

        def invoke() -> str:
            try:
                result = call(function, event)
            except FunctionFailed as failure:
                return failure.message
            assert result.get("batchItemFailures") or (result["found"] > 0 and result["purged"] == 0), result
            return str(result)

        return invoke

    def request(self, method: str, path: str, body: Any) -> Callable[[], str]:
        def send() -> str:
            answer = self.world(method, path, body, key=new_key())
            if answer.status != 503:  # the gateway answers for a failed authorizer
                assert answer.status == 500, answer
                assert set(answer.body.values()) == {"Internal server error."}
            return f"{answer.content.decode()} {answer.headers}"

        return send


@pytest.fixture(scope="module")
def scene(shared: World, template: Template) -> Scene:
    foreign = shared.new_project("Secret of Globex", tenant="globex")
    task = {"name": "Secret", "description": "Secret", "phase": "business"}
    assert shared("POST", f"{flat_path(foreign)}/tasks", task, tenant="globex").status == 201
    rows = rows_here()
    return Scene(shared, template, rows, "", foreign)


Patch = pytest.MonkeyPatch

Request = tuple[str, str, Any]


def of_globex(name: str) -> Callable[[Patch, Scene], None]:
    """The keys of a kind have another tenant than the caller's, from the path, a body or a row."""

    def plant(patch: Patch, scene: Scene) -> None:
        spell = getattr(keys, name)
        patch.setattr(keys, name, lambda tenant, *rest: spell(scene.globex, *rest))

    return plant


def spelled_by_hand(form: str) -> Callable[[Patch, Scene], None]:
    def plant(patch: Patch, scene: Scene) -> None:
        patch.setattr(keys, "project", lambda tenant, project: Key(form.format(tenant, tenant[:-1], project), "META"))

    return plant


def caller_of_the_body(patch: Patch, scene: Scene) -> None:
    make = Work.__init__

    def init(work: Work, table: Table, caller: Caller, *rest: Any, **more: Any) -> None:
        make(work, table, caller._replace(tenant=scene.globex), *rest, **more)

    patch.setattr(Work, "__init__", init)


def work_of_an_earlier_request(patch: Patch, scene: Scene) -> None:
    kept: list[Work] = []

    def first(*given: Any, **more: Any) -> Work:
        kept.append(Work(*given, **more))
        return kept[0]

    patch.setattr(resolver, "Work", first)
    assert scene.world("GET", scene.foreign, tenant="globex").status == 200


def scope_of_an_earlier_request(patch: Patch, scene: Scene) -> None:
    kept: list[str] = []

    def first(tenant: str, **more: Any) -> Any:
        kept.append(tenant)
        return scope(kept[0], **more)

    patch.setattr(resolver, "scope", first)
    assert scene.world("GET", scene.foreign, tenant="globex").status == 200


def threads_with_an_earlier_scope(patch: Patch, scene: Scene) -> None:
    kept: list[Any] = []

    def together(table: Table, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        kept.append(copy_context())
        return [kept[0].copy().run(call) for call in calls]

    patch.setattr(Table, "together", together)
    assert scene.world("GET", scene.foreign, tenant="globex").status == 200


def cursor_as_a_key(patch: Patch, scene: Scene) -> None:
    def pages(pk: str, prefix: str, after: str | None, *rest: Any) -> Range:
        return starting_with(keys.space(after, after).pk if after else pk, prefix, None, *rest)

    patch.setattr(projects, "starting_with", pages)


def list_of_all_deletions(patch: Patch, scene: Scene) -> None:
    patch.setattr(projects, "starting_with", lambda pk, prefix, after, limit: Range("PURGE#0", "!", "~", limit))


def asks_the_client(ask: Callable[[Table, Scene], Any]) -> Callable[[Patch, Scene], None]:
    """A query past the table's own method, straight to the client."""

    def plant(patch: Patch, scene: Scene) -> None:
        patch.setattr(Table, "query", lambda table, wanted: ask(table, scene))

    return plant


def query_by_another_placeholder(table: Table, scene: Scene) -> Any:
    values = {":p": {"S": keys.space(scene.globex, scene.globex).pk}}
    condition = "pk = :p"
    return table._client.query(TableName=table.name, KeyConditionExpression=condition, ExpressionAttributeValues=values)


def query_by_an_index(table: Table, scene: Scene) -> Any:
    condition = "sk = :pk"
    values = {":pk": {"S": keys.project(scene.tenant("acme"), scene.secret).pk}}
    return table._client.query(
        TableName=table.name, IndexName="by-sk", KeyConditionExpression=condition, ExpressionAttributeValues=values
    )


def query_in_a_thread_of_its_own(table: Table, scene: Scene) -> Any:
    with ThreadPoolExecutor() as threads:
        return threads.submit(query_by_the_right_placeholder, table, scene).result()


def query_by_the_right_placeholder(table: Table, scene: Scene) -> Any:
    values = {":pk": {"S": keys.space(scene.globex, scene.globex).pk}}
    return table._client.query(
        TableName=table.name, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=values
    )


def reads_one_more(key: Callable[[Scene], Key]) -> Callable[[Patch, Scene], None]:
    """One foreign key in the batch of a request's reads."""

    def plant(patch: Patch, scene: Scene) -> None:
        read = Work.read
        patch.setattr(Work, "read", lambda work, *wanted, **more: read(work, *wanted, key(scene), **more))

    return plant


def attribute_that_is_believed(patch: Patch, scene: Scene) -> None:
    known = rows.to_project
    for module in (change, whole):
        patch.setattr(module, "to_project", lambda meta: replace(known(meta), tenant=scene.globex))


def condition_on_anothers_row(patch: Patch, scene: Scene) -> None:
    person = keys.principal(scene.globex, scene.world.id("owner", "globex"))
    patch.setattr(Access, "hold", lambda access, work: work.check(person, "attribute_exists(#pk)"))


def last_seen_of_the_principal(patch: Patch, scene: Scene) -> None:
    def note(credentials: Credentials, key: Key, item: Item, now: str) -> None:
        person = keys.principal(item["tenant"], item["principal"])
        credentials._table.touch(person, "SET #seen = :now", "attribute_exists(#pk)", {"now": now})

    patch.setattr(Credentials, "_note_use", note)
    authorizer.credentials.cache_clear()


def roles_read_by_the_authorizer(patch: Patch, scene: Scene) -> None:
    def note(credentials: Credentials, key: Key, item: Item, now: str) -> None:
        credentials._table.get(keys.principal(item["tenant"], item["principal"]))

    patch.setattr(Credentials, "_note_use", note)
    authorizer.credentials.cache_clear()


def tenant_of_another_field(module: Any) -> Callable[[Patch, Scene], None]:
    """A Caller with another tenant than the scope's."""

    def plant(patch: Patch, scene: Scene) -> None:
        patch.setattr(module, "Caller", lambda tenant, *rest: Caller(scene.globex, *rest))

    return plant


def principal_of_another_tenant(patch: Patch, scene: Scene) -> None:
    patch.setattr(reactions, "acting", lambda table, tenant, principal: acting(table, scene.globex, principal))


def manager_of_another_tenant(patch: Patch, scene: Scene) -> None:
    patch.setattr(reactions, "settings", lambda: SimpleNamespace(viewer_principal=scene.world.uuid("outsider")))
    patch.setattr(reactions, "_actor", lambda tenant, principal: Caller(scene.globex, principal, "user"))


def purge_of_anothers_project(patch: Patch, scene: Scene) -> None:
    make = Purge.__init__

    def init(work: Purge, *given: Any) -> None:
        make(work, *given)
        work._deletion = replace(work._deletion, tenant=scene.globex, project=scene.secret)

    patch.setattr(Purge, "__init__", init)


def purge_in_the_scope_of_the_queue(patch: Patch, scene: Scene) -> None:
    patch.setattr(streams, "SWEPT_AFTER", -streams.SWEPT_AFTER)
    patch.setattr(purge, "scope", lambda tenant, **more: scope(None, purges=True))


# For each mistake the change to the code, and the request or function affected.
MISTAKES: dict[str, tuple[Callable[[Patch, Scene], None], str | Callable[[Scene], Request]]] = {
    "a project's tenant out of the path": (of_globex("project"), lambda scene: ("GET", scene.foreign, None)),
    "the same, of a range": (of_globex("project"), lambda scene: ("GET", flat_path(scene.foreign), None)),
    "a space's tenant out of the path": (
        of_globex("space"),
        lambda scene: ("GET", scene.foreign.rpartition("/")[0], None),
    ),
    "a list row in another tenant's space": (of_globex("space_project"), "V1CreateProject"),
    "another tenant's list row is deleted": (of_globex("space_project"), "V1DeleteProject"),
    "a project among another's principal's": (of_globex("principal_project"), "V1AddMember"),
    "another tenant's member": (of_globex("member"), "V1RemoveMember"),
    "another tenant's principal": (of_globex("principal"), "V1AddMember"),
    "another tenant's directory is searched": (of_globex("directory"), "SearchTeam"),
    "another tenant's directory is asked": (of_globex("directory"), "FindTeamMember"),
    "another tenant's record": (of_globex("record"), "V1GetTask"),
    "a note on another tenant's task": (of_globex("note"), "AddTaskNote"),
    "another tenant's idempotency records": (
        of_globex("idempotency"),
        "CreateProject",
    ),
    "another tenant's purge queue": (of_globex("purge"), "DeleteProject"),
    "a key without the closing #": (spelled_by_hand("T#{0}P#{2}"), "V1GetProject"),
    "a tenant's id cut short": (spelled_by_hand("T#{1}#P#{2}"), "V1GetProject"),
    "a key without a tenant": (spelled_by_hand("P#{2}"), "V1GetProject"),
    "the caller has the body's tenant": (caller_of_the_body, "CreateProject"),
    "the work of an earlier request": (work_of_an_earlier_request, "V1GetProject"),
    "the scope of an earlier request": (scope_of_an_earlier_request, "V1GetProject"),
    "a thread without a scope": (asks_the_client(query_in_a_thread_of_its_own), "V1ListProjects"),
    "threads that kept an earlier scope": (threads_with_an_earlier_scope, "V1ListProjects"),
    "a cursor used as a key": (
        cursor_as_a_key,
        lambda scene: (
            "GET",
            f"{scene.world.projects()}?cursor={cursor_behind(scene.globex, f'{scene.world.projects()}?')}",
            None,
        ),
    ),
    "a list of all tenants' deletions": (list_of_all_deletions, "V1ListProjects"),
    "a query by another placeholder": (asks_the_client(query_by_another_placeholder), "V1ListProjects"),
    "a query over partitions": (asks_the_client(query_by_an_index), "V1ListProjects"),
    "a scan": (asks_the_client(lambda table, _: table._client.scan(TableName=table.name)), "V1ListProjects"),
    "a transaction of reads": (
        asks_the_client(lambda table, scene: table.get_when_committed(keys.project(scene.globex, scene.secret))),
        "V1ListProjects",
    ),
    "PartiQL": (
        asks_the_client(lambda table, _: table._client.execute_statement(Statement=f'SELECT * FROM "{table.name}"')),
        "V1ListProjects",
    ),
    "one foreign key in a batch": (
        reads_one_more(lambda scene: keys.project(scene.globex, scene.secret)),
        "V1GetProject",
    ),
    "a credential in a batch": (reads_one_more(lambda scene: keys.credential("0" * 64)), "V1GetProject"),
    "a row's attribute is believed": (attribute_that_is_believed, "UpdateProject"),
    "the same, below a project": (attribute_that_is_believed, "CreateDataset"),
    "a condition on another's row": (condition_on_anothers_row, "V1UpdateProject"),
    "the authorizer notes who was seen": (last_seen_of_the_principal, "V1GetMe"),
    "the authorizer reads roles": (roles_read_by_the_authorizer, "V1GetMe"),
    "provisioning for another tenant": (tenant_of_another_field(automation), "Provision"),
    "provisioning into another's space": (of_globex("space_member"), "Provision"),
    "an event's principal of another tenant": (principal_of_another_tenant, "CreateProjectFromEvent"),
    "an event's project in another's space": (of_globex("space_project"), "CreateProjectFromEvent"),
    "a reaction for another's manager": (manager_of_another_tenant, "AddViewer"),
    "a purge of another's project": (purge_of_anothers_project, "PurgeDeleted"),
    "a purge of another's memberships": (of_globex("principal_project"), "PurgeDeleted"),
    "a purge of another's list row": (of_globex("space_project"), "PurgeDeleted"),
    "a purge under the queue's scope": (purge_in_the_scope_of_the_queue, "SweepDeleted"),
}


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_wall_stops_a_mistake_in_the_code_above(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """The answer is an internal error. The other tenant's data is neither shown nor changed."""
    plant, asked = MISTAKES[mistake]
    stopped: list[str] = []

    class Noted(TenantWall):
        def __init__(self, message: str) -> None:
            super().__init__(message)
            stopped.append(message)

    for tenant in ("acme", "globex"):  # records the last use of both credentials beforehand
        assert scene.world("GET", "/v1/me", tenant=tenant).status == 200
    scene.project = a_project(scene.world)
    act = scene.prepared(asked) if isinstance(asked, str) else scene.request(*asked(scene))
    theirs = scene.rows_of("globex")
    monkeypatch.setattr(wall, "TenantWall", Noted)
    with monkeypatch.context() as patch:
        plant(patch, scene)
        shown = act()
    authorizer.credentials.cache_clear()
    assert stopped
    assert not [secret for secret in ("Secret", scene.globex, v1_id(scene.globex)) if secret in shown]
    assert scene.rows_of("globex") == theirs
