"""The API as a small program in memory: an executable specification.

`Model.answer` takes a request and gives its whole answer, from nothing but dicts. It knows both dialects, roles,
idempotency, lists and events; it knows no table, no transaction and no concurrency. It uses names: a principal is
"viewer", a space "acme/default", a field has its name in the store, and an id is its 24 digits.
`tests/model/test_model.py` compares the API with it.

The server's own choices are inputs: the model is given each new id, and learns a time when an answer shows it.

Each resource has a module (`projects.py`, `members.py`, …): a method says what a route answers, and OPERATIONS at the
end names the method of each route. The fields of a body are in `fields.py`, its random values in `strategies.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from tests.model import credentials, members, notes, principals, projects, records, spaces, webhooks
from tests.model.answers import INACTIVE, Call, Expected, Refused
from tests.model.credentials import Credentials
from tests.model.fields import is_v1
from tests.model.kernel import Kept, Replay
from tests.model.members import Members
from tests.model.notes import Notes
from tests.model.projects import Projects
from tests.model.records import Records
from tests.model.spaces import Spaces
from tests.model.state import Moment, tag, version_of
from tests.model.webhooks import Webhooks


class Model(Spaces, Credentials, Projects, Members, Records, Notes, Webhooks):
    def answer(self, call: Call, fresh: str, now: Moment) -> Expected:
        """Performs a request and returns its answer. `fresh` is the id of the created resource."""
        self.call, self.fresh, self.now = call, fresh, now
        self.me = self.people[call.by]
        self.v1 = is_v1(call.route)
        self.body = dict(call.body or {})
        self.changed = self.touched = None
        self.succeeded = False
        self._met: Kept | None = None
        try:
            self._judge_body()
            if self.me.status != "active":
                return Expected(401, INACTIVE)
            self._meet()
            expected = OPERATIONS[call.route](self)
        except Replay as replay:
            return replace(replay.kept.answer, replayed=True)
        except Refused as refusal:
            return refusal.seen_by(call.route)
        if self.succeeded and call.key:
            self._kept[call.by, call.route, call.key] = Kept(
                call.asked, expected.recorded, now.begun + timedelta(days=30)
            )
        return expected

    def version(self, call: Call, before: int = 0) -> str:
        """The current version in the ETag of the addressed resource, or an older one: so many versions `before` it."""
        if call.route.endswith("Webhook") or call.route in ("V1RedeliverEvent", "V1RecoverEvents"):
            return self._version_of_webhook(call, before)
        if call.route.endswith("Tenant"):
            return tag(call.route, self.tenants[self.people[call.by].tenant].version - before)
        if "Space" in call.route:
            return self._version_of_space(call, before)
        if call.route in ("V1UpdatePrincipal", "V1DeletePrincipal"):
            person = self.people.get(call.item)
            return tag(call.route, person.version - before if person else 0)
        if call.route.endswith("Credential"):
            holder = self.people.get(call.item)
            credential = holder.credentials.get(call.note) if holder else None
            return tag(call.route, credential.version - before if credential else 0)
        project = self.projects.get(call.project)
        if project is None:
            return tag(call.route, 0)
        if not call.item:
            return tag(call.route, (project.version if is_v1(call.route) else project.sequence) - before)
        if member := project.members.get(call.item):
            return tag(call.route, f"{member.id}-{member.version - before}")
        if call.note:
            return tag(call.route, 1 - before)
        found = next((records[call.item] for records in project.records.values() if call.item in records), None)
        return tag(call.route, version_of(call.route, found, before) if found else 0)

    def _version_of_webhook(self, call: Call, before: int) -> str:
        """Those of a delivery before are the ones of its other states, which answers have shown."""
        webhook = self.webhooks.get(call.item)
        if call.route != "V1RedeliverEvent":
            return tag(call.route, webhook.version - before if webhook else 0)
        delivery = webhook.deliveries.get(call.note) if webhook else None
        if delivery is None:
            return tag(call.route, 0)
        now = delivery.tag(self.now).text
        older = [text for text in delivery.tags.values() if text != now]
        return tag(call.route, (older[-1] if before and older else now) or 0)

    def _version_of_space(self, call: Call, before: int) -> str:
        space = self.places.get(call.space)
        member = space.members.get(call.item) if space else None
        if member:
            return tag(call.route, f"{member.id}-{member.version - before}")
        return tag(call.route, space.version - before if space and not call.item else 0)


# The routes that the model does not know, and why.
UNKNOWN = {
    "V1ListEvents": "it lists what was published; the event of each change is compared after the change",
    "V1GetEvent": "the same",
}

# The method of each route, from the end of each resource's module.
OPERATIONS: dict[str, Callable[[Model], Expected]] = {
    **spaces.OPERATIONS,
    **principals.OPERATIONS,
    **credentials.OPERATIONS,
    **projects.OPERATIONS,
    **members.OPERATIONS,
    **records.OPERATIONS,
    **notes.OPERATIONS,
    **webhooks.OPERATIONS,
}
