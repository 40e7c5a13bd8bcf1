"""Projects that are shown whole, with their team and tasks, whatever space they are in."""

from collections.abc import Iterable, Iterator, Sequence, Set
from functools import partial

from atrium import documents, keys
from atrium.errors import NotFound, Unfit, project_not_found
from atrium.models import Page, Project, ShownTask, WholeProject, moment_of
from atrium.store.access import AsManager, project_access
from atrium.store.change import ANYWHERE, MAX_MEMBERS, Opened, begin_change, differing, open_project
from atrium.store.engine.table import Item, Range, Rows, starting_with
from atrium.store.engine.work import Work
from atrium.store.projects import Projects, delete_project, require_size, write_fields
from atrium.store.rows import to_project
from atrium.text import MAX_NAME, MAX_TEXT, is_blank, name_problem

# How many tasks, and bytes of them, a project shows: the stored answer to a change must fit into one item, too. The
# pages of the project's tasks have the rest.
MAX_SHOWN_TASKS = 1_000
MAX_SHOWN_TASK_BYTES = 200_000
# The same in an answer that is stored to be repeated: a request of 62 bytes stores it for 30 days (decision 0039).
MAX_STORED_TASK_BYTES = 20_000

# How far into a project it is read for that. The table counts descriptions too, which are not shown.
_WHOLE_MEGABYTES = 4


class WholeProjects:
    """The projects of one tenant, as the caller of one request may see and change them."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._caller = work.caller

    # ------------------------------------------------------------ reading

    def get(self, project: str) -> WholeProject:
        """Raises NotFound and Forbidden."""
        opened, whole = self._open(project)
        opened.access.require("project:read")
        return whole

    def list(self, *, limit: int, after: str | None) -> Iterator[Page[WholeProject]]:
        """Every project that the caller can read, by age, whole: a page in parts, each of which is read when it is
        asked for. Three round trips to the first one: who am I, what is there, how does it look now.

        The last part comes early when much had to be read: so there is a page in little time, whatever is stored.
        """
        listed_as = partial(starting_with, prefix=keys.PROJECT, after=after, limit=limit, only=("id", "bare"))
        (joined,) = self._work.read(ranges=[listed_as(self._work.my_key.pk)])
        spaces = [keys.space(self._caller.tenant, space).pk for space in self._work.me["spaces"]]
        listed = self._work.read(ranges=[listed_as(pk) for pk in spaces])
        sources = (joined, *listed)
        # Behind the end of a source that goes on, its next ids are not known.
        end = min((rows[-1]["id"] for rows in sources if rows.more), default=None)
        ids = sorted({row["id"] for rows in sources for row in rows if end is None or row["id"] <= end})
        childless = {row["id"] for rows in listed for row in rows if row.get("bare")}
        more = len(ids) > limit or end is not None
        ids = ids[:limit]
        units = 0.0
        for batch in _batches(ids, childless):
            shown: list[WholeProject] = []
            for rows in self._entries(batch, childless):
                units += rows.units
                try:
                    opened, whole = self._shown(rows)
                except NotFound:  # deleted, since or not yet purged
                    continue
                if opened.access.allows("project:read"):
                    shown.append(whole)
            yield Page(tuple(shown), batch[-1] if more or batch[-1] != ids[-1] else None)
            if units > MAX_LIST_UNITS:
                return

    # ------------------------------------------------------------ writing

    def create(self, *, name: str, client: str, description: str) -> Project:
        """Creates a project in the tenant's default space, which has the tenant's own id. Raises what
        `Projects.create` raises."""
        return Projects(self._work, self._caller.tenant).create(name=name, client=client, description=description)

    def revise(self, project: str, *, name: str, client: str, description: str) -> WholeProject:
        """Changes the three fields, of which `description` is text; a value that equals the current one is left as it
        is stored.

        The answer shows team and tasks too, so the change holds `sequence`. Raises NotFound, Forbidden,
        VersionRefused, Conflict when archived, Invalid.
        """
        opened, whole = self._open(project)
        found = opened.project
        change, _ = begin_change(
            self._work, opened, AsManager("update"), judge=lambda: (None, found.sequence), archived="no change"
        )
        changes = differing(found, {"name": name, "client": client})
        if description != summary(found.description):
            changes["description"] = _with_summary(found.description, description)
        if not changes:
            change.nothing("sequence")
            return self._storable(whole)
        change.require_active()
        if "client" in changes and (problem := name_problem(client)):
            raise Unfit("client", *problem, MAX_NAME)
        if "description" in changes:
            _require_text(description)
            require_size(changes["description"])
        change.hold("sequence")
        return self._storable(whole._replace(project=write_fields(self._work, change, changes)))

    def delete(self, project: str) -> None:
        """Raises NotFound, Forbidden, VersionRefused."""
        opened = open_project(self._work, ANYWHERE, project)
        change, _ = begin_change(
            self._work,
            opened,
            AsManager("delete"),
            judge=lambda: (None, opened.project.sequence),
            archived="changes",
        )
        if self._work.is_conditional:
            change.hold("sequence")
        delete_project(self._work, change)

    # ------------------------------------------------------------ parts

    def _storable(self, whole: WholeProject) -> WholeProject:
        """The project with as many tasks as its answer shows: few, if the answer is stored to be repeated."""
        if not self._work.is_repeatable:
            return whole
        tasks = whole.tasks[: _fitting([task.name for task in whole.tasks], MAX_STORED_TASK_BYTES)]
        return whole if len(tasks) == len(whole.tasks) else whole._replace(tasks=tasks, after=tasks[-1].id)

    def _open(self, project: str) -> tuple[Opened, WholeProject]:
        """Reads a project with its members and tasks, which stand next to each other, in one query.

        A query is no snapshot: it sees a commit behind the place where it is. META comes first, so a version may be
        older than what is shown with it, never newer. Raises NotFound.
        """
        span = keys.whole_project(keys.project(self._caller.tenant, project).pk)
        (rows,) = self._work.read(ranges=[_as_shown(span, MAX_MEMBERS + 1 + MAX_SHOWN_TASKS)])
        opened, whole = self._shown(rows)
        self._work.not_before(moment_of(opened.project.last_events[-1]))
        return opened, whole

    def _entries(self, projects: Sequence[str], childless: Set[str]) -> Sequence[Rows]:
        """META of each project, then its members and tasks, of which only what is shown is brought. All there is of a
        childless project is META; one that has grown since it was listed is read again.

        Entries are shown without a version, so either may be read first.
        """
        metas = [keys.project(self._caller.tenant, id) for id in projects]
        wide = [id for id in projects if id not in childless]
        below = dict(zip(wide, self._work.read(*metas, ranges=[self._below(id) for id in wide]), strict=True))
        found = {id: meta for id, key in zip(projects, metas, strict=True) if (meta := self._work.item(key))}
        grown = [id for id, meta in found.items() if id not in below and not meta.get("bare")]
        below |= zip(grown, self._work.read(ranges=[self._below(id) for id in grown]), strict=True)
        entries = ((found[id], below.get(id, Rows())) for id in projects if id in found)
        return [Rows([meta, *rows], rows.more, rows.units + _units(meta)) for meta, rows in entries]

    def _below(self, project: str) -> Range:
        span = keys.members_and_tasks(keys.project(self._caller.tenant, project).pk)
        return _as_shown(span, MAX_MEMBERS + MAX_SHOWN_TASKS, ("pk", "sk", "principal", "role", "id", "name", "status"))

    def _shown(self, rows: Rows) -> tuple[Opened, WholeProject]:
        """A project of the rows of META, members and tasks. Raises NotFound."""
        items = {row["sk"]: row for row in rows}
        meta = items.get(keys.META)
        if meta is None or "deleted_at" in meta:
            raise project_not_found()
        project = to_project(meta)
        members = [row["principal"] for sk, row in items.items() if sk.startswith(keys.ROLE)]
        tasks = _tasks(rows)
        shown = tasks[: _fitting([row["name"] for row in tasks], MAX_SHOWN_TASK_BYTES)]
        whole = WholeProject(
            project,
            team=tuple(principal for principal in members if principal != project.manager),
            tasks=tuple(ShownTask(row["id"], row["name"], row["status"]) for row in shown),
            after=shown[-1]["id"] if rows.more or len(shown) < len(tasks) else None,
        )
        mine = items.get(keys.ROLE + self._caller.principal)
        return Opened(project, project_access(self._work, project.space, project.id, mine)), whole


# A list reads so many projects at once, with so many among them that have more than META: each of these is a
# query, beside the batch of all METAs, and there are eight threads. It stops behind the batch in which it has taken so
# many capacity units, one for each 4 KB: 24 MB.
_BATCH, _WIDE = 64, 7
MAX_LIST_UNITS = 6_144


def _as_shown(span: keys.Span, limit: int, only: tuple[str, ...] = ()) -> Range:
    """The rows, as far as a project shows them."""
    return Range(*span, limit, _WHOLE_MEGABYTES, only, _shows_all_it_may)


def _units(meta: Item) -> float:
    """About what reading META takes: nothing else in it is large."""
    return len(meta.get("description", "")) / 4_096


def _batches(projects: Sequence[str], childless: Set[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    wide = 0
    for id in projects:
        if len(batch) == _BATCH or (wide == _WIDE and id not in childless):
            yield batch
            batch, wide = [], 0
        batch.append(id)
        wide += id not in childless
    if batch:
        yield batch


def summary(description: str) -> str:
    """A description (JSON text) as one text: a string, an object's summary, or nothing."""
    value = documents.parse(description)
    shown = value.get("summary") if isinstance(value, dict) else value
    return shown if isinstance(shown, str) else ""


def _with_summary(description: str, text: str) -> str:
    value = documents.parse(description)
    if isinstance(value, str):
        return documents.render(text)
    return documents.render((value or {}) | {"summary": text})


def _require_text(description: str) -> None:
    if is_blank(description):
        raise Unfit("description", "string_too_short", "Must not be empty")
    if len(description) > MAX_TEXT:
        raise Unfit("description", "string_too_long", f"Must have at most {MAX_TEXT} characters", MAX_TEXT)


def _tasks(rows: Iterable[Item]) -> list[Item]:
    return [row for row in rows if row["sk"].startswith(keys.TASK)]


def _fitting(names: Sequence[str], most: int) -> int:
    """How many tasks with these names fit into so many bytes of a project's entry."""
    size = 0
    for number, name in enumerate(names[:MAX_SHOWN_TASKS]):
        size += 100 + len(documents.render(name).encode())
        if size > most:
            return number
    return min(len(names), MAX_SHOWN_TASKS)


def _shows_all_it_may(rows: Sequence[Item]) -> bool:
    tasks = _tasks(rows)
    return _fitting([row["name"] for row in tasks], MAX_SHOWN_TASK_BYTES) < len(tasks)
