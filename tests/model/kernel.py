"""The steps that the requests of all resources share: body, replay, project and permission, If-Match, change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.model.answers import (
    NO_PROJECT,
    NOT_YET,
    REUSED,
    STALE,
    SUSPENDED,
    Expected,
    Refused,
    invalid,
    not_found,
    require,
)
from tests.model.fields import JUDGED_LATE, KNOWN, NOT_BLANK, PHASES, REQUIRED, UNFIT_URLS, may, rank_of, spelled
from tests.model.state import Member, Membership, Moment, Person, Project, Record, Space, Tenant, Webhook, tag
from tests.model.views import Views


@dataclass(frozen=True)
class Kept:
    """The record of a request with an Idempotency-Key."""

    asked: tuple[Any, ...]
    answer: Expected
    until: datetime


class Replay(Exception):
    """The request repeats one with the same Idempotency-Key."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept


class Kernel(Views):
    """The state, and the steps. In a call, `me` is the caller, `fresh` the id of a created resource, `now` the time.

    `changed` is the project that the call changed. `succeeded` is also true of a call that changed nothing, so
    that its answer is kept under its key. `deleted` has the deleted projects until they are purged.
    """

    me: Person
    body: dict[str, Any]
    fresh: str
    now: Moment

    def __init__(self, people: Mapping[str, Person], spaces: dict[str, str], roles: Mapping[str, str]) -> None:
        super().__init__(people, spaces, roles)
        self._memberships: dict[str, Membership] = {}
        # All that Provision made of a tenant has one moment.
        defaults = {name.partition("/")[0]: id for name, id in spaces.items() if name.endswith("/default")}
        made = {tenant: Moment(datetime.fromtimestamp(0, UTC), datetime.now(UTC)) for tenant in defaults}
        self.tenants = {name: Tenant(id, name.title(), made[name], made[name]) for name, id in defaults.items()}
        self.places: dict[str, Space] = {}
        for called, id in spaces.items():
            tenant, _, name = called.partition("/")
            # The default space has the tenant's name.
            shown = tenant.title() if name == "default" else name
            self.places[called] = Space(id, tenant, shown, "", made[tenant], made[tenant])
        for name, person in people.items():
            for called, role in person.roles.items():
                at = made[person.tenant]
                self.places[called].members[name] = Member(Membership(self._memberships), role, at, at)
                self.places[called].sequence += 1
        self.projects: dict[str, Project] = {}
        self.deleted: dict[str, Project] = {}
        self.webhooks: dict[str, Webhook] = {}
        self._webhook_secrets: set[str] = set()
        self.changed: Project | None = None
        self.succeeded = False
        self._kept: dict[tuple[str, str, str], Kept] = {}
        self._met: Kept | None = None
        # The space, the tenant, the principal with its credentials, or the webhook, that the call changed.
        self.touched: Space | Tenant | Person | Webhook | None = None

    def _judge_body(self) -> None:
        """Refuses a body for reasons that do not depend on the state, the first of them alone."""
        route, body = self.call.route, self.body
        if self.call.body is None:
            return
        is_change = route.startswith("V1Update") and route not in REQUIRED
        require(body or not is_change, Refused(422, "Give at least one field to change", 400, ("body",), "missing"))
        for name in REQUIRED.get(route, ()):
            require(name in body, invalid(name, "Field required", "missing"))
        for name, value in body.items():
            if name in NOT_BLANK and (route, name) not in JUDGED_LATE and isinstance(value, str):
                require(value.strip(), invalid(name, "Must not be empty", "string_too_short"))
            if name == "phase":
                *some, last = (f"'{phase}'" for phase in PHASES)
                message = f"Input should be {', '.join(some)} or {last}"
                require(value in PHASES, invalid(name, message, "literal_error"))
            if name == "url":
                require(value not in UNFIT_URLS, invalid(name, UNFIT_URLS.get(value, ""), "webhook_url"))
        if self.v1 and "colour" in body:
            known = ", ".join(sorted(spelled(route, name) for name in KNOWN[route]))
            raise invalid("colour", f"Unknown field. Known: {known}", "extra_forbidden")
        body.pop("colour", None)
        if route in ("V1AddMember", "V1AddSpaceMember"):
            either = Refused(422, "Give either principal_id or email", at=("body",), type="one_of")
            require(len(body.keys() & {"principal", "email"}) == 1, either)

    def _meet(self) -> None:
        """Finds the request with the same key of the same caller and route in the last thirty days.

        An answer without data is replayed at once; one with data by `_replay`, after the check that the caller may
        still read the project.
        """
        kept = self._kept.get((self.call.by, self.call.route, self.call.key or ""))
        if kept and kept.until > self.now.begun:
            require(kept.asked == self.call.asked, REUSED)
            self._met = kept
            if kept.answer.confirms:
                self._replay()

    def _replay(self) -> None:
        if self._met:
            raise Replay(self._met)

    def _role_in(self, space: str) -> int:
        """An admin is as good as an owner in every space of its tenant."""
        is_admin = self.me.is_admin and space.partition("/")[0] == self.me.tenant
        return rank_of("owner" if is_admin else self.me.roles.get(space))

    def _named(self) -> str:
        """Who is named in the body, by id or by e-mail address, to be given a role."""
        field = "email" if "email" in self.body else "principal"
        tenants = {name: person for name, person in self.people.items() if person.tenant == self.me.tenant}
        if field == "email":
            found = [name for name, person in tenants.items() if person.email == self.body["email"].lower()]
        else:
            found = [name for name in tenants if name == self.body["principal"]]
        require(found, invalid(field, "No such principal", "unknown_principal"))
        require(self.people[found[0]].status == "active", SUSPENDED)
        return found[0]

    def _open(self) -> tuple[Project, int]:
        """The project, and the rank of the caller: that of the stronger role, in the project or in its space."""
        project = self.projects.get(self.call.project)
        if project is None or project.space.partition("/")[0] != self.me.tenant:
            raise not_found("Project")
        require(not self.v1 or self.call.space == project.space, not_found("Project"))
        mine = project.members.get(self.call.by)
        return project, max(rank_of(mine.role if mine else None), self._role_in(project.space))

    def _open_to(self, permission: str, otherwise: Refused, replays: bool = False) -> Project:
        project, rank = self._open()
        require(rank, NO_PROJECT)
        if replays:
            self._replay()
        require(may(rank, permission), otherwise)
        return project

    def _match(self, version: object) -> None:
        require(self.call.if_match in (None, "*", f'"{tag(self.call.route, version)}"'), STALE)

    def _match_nothing(self) -> None:
        """Refuses any If-Match of a creating request."""
        require(self.call.if_match is None, NOT_YET)

    def _match_member(self, member: Member) -> None:
        """No If-Match can equal the version of a membership whose id no answer has shown. Flat answers show none."""
        self._match(f"{member.id}-{member.version}" if member.id.is_known and self.v1 else None)

    def _set_role(self, member: Member, role: str) -> None:
        member.role, member.updated_at, member.version = role, self.now, member.version + 1

    def _the_record(self, project: Project, kind: str) -> Record:
        require(self.call.item in project.records[kind], not_found(kind.title()))
        return project.records[kind][self.call.item]

    def _commit(
        self, project: Project, type: str, resource: dict[str, Any], changed: Iterable[str] | None = None
    ) -> None:
        """Counts one change in the sequence of the project, and makes one event."""
        project.sequence += 1
        project.event = {"type": type, "time": self.now, "by": self.call.by, "resource": resource}
        if changed is not None:
            project.event["changed"] = sorted(changed)
        self.changed = project
        self.succeeded = True

    def _commit_on(
        self,
        root: Space | Tenant | Person | Webhook,
        type: str,
        resource: dict[str, Any],
        changed: Iterable[str] | None = None,
    ) -> None:
        """Counts one change of a space, the tenant, a principal or a webhook, and makes one event."""
        root.sequence += 1
        root.event = {"type": type, "time": self.now, "by": self.call.by, "resource": resource}
        if changed is not None:
            root.event["changed"] = sorted(changed)
        self.touched = root
        self.succeeded = True

    def _in(self, time: timedelta) -> Moment:
        return Moment(self.now.begun + time, self.now.ended + time)

    def _page(self, ids: Iterable[str], default: int) -> tuple[list[str], str | None]:
        """The sorted ids of a page, and the last of them if more follow."""
        left = sorted(id for id in ids if id > (self.call.after or ""))
        page = left[: self.call.query.get("limit", default)]
        return page, page[-1] if len(left) > len(page) else None
