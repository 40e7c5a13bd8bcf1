"""The start of each run, and its restoration."""

import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from atrium import keys
from atrium.models import timestamp
from local.template import Template
from tests.model.answers import Call
from tests.model.fields import KINDS
from tests.model.speaker import Speaker
from tests.model.strategies import NOTHING
from tests.support.client import RECORDS, World
from tests.support.direct import direct


@dataclass
class Tally:
    """Counts of all runs: steps, requests by route, and successful ones."""

    runs: int = 0
    steps: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)


class Start:
    """The start of each run: projects with members and one record of each kind, and the rows of the table."""

    def __init__(self, world: World, template: Template) -> None:
        self.template = template
        self.tally = Tally()
        self.speaker = Speaker(world)
        self._table = direct()
        for space, roles in (
            ("acme/default", {"contributor": "contributor", "viewer": "viewer"}),
            ("acme/research", {"outsider": "manager"}),
            ("acme/default", {"outsider": "contributor"}),
        ):
            self.speaker.ask(Call("V1CreateProject", space=space, body={"name": "Apollo"}))
            project = self.speaker.known.projects[-1]
            for name, role in roles.items():
                member = {"principal": name, "role": role}
                self.speaker.ask(Call("V1AddMember", space=space, project=project, body=member))
            for kind in KINDS:
                fields = RECORDS[f"{kind}s"]
                self.speaker.ask(Call(f"V1Create{kind.title()}", space=space, project=project, body=fields))
            task = self.speaker.known.records["task"][-1][1]
            self.speaker.ask(Call("AddTaskNote", project=project, item=task, body={"content": "Remember"}))
        for by, holder, fields in (
            ("owner", "owner", {}),
            ("outsider", "outsider", {}),
            ("contributor", "contributor", {}),
            ("owner", "viewer", {"enrol": True}),
        ):
            made = {"kind": "api_key", "name": "CI", **fields}
            self.speaker.ask(Call("V1CreateCredential", by=by, item=holder, body=made))
        self._make_webhooks()
        # The last one is archived.
        self.speaker.ask(Call("V1UpdateProject", space=space, project=project, body={"status": "archived"}))
        self._rows = self._table.items()

    def _make_webhooks(self) -> None:
        """As many as leave room for two more, after there were as many as there may be. The latest ones have what
        requests are mostly about."""
        for number, host in enumerate("fghijk" * 2 + "aaabbc"):
            self._make_webhook(f"https://{host}.example.com/{number}")
        *_, rotated, recovered, tested = self.speaker.known.webhooks
        # The first one is one too many of its host, the last one of the tenant.
        for host in "adef":
            self._make_webhook(f"https://{host}.example.com/")
        for webhook in self.speaker.known.webhooks[-2:]:
            self.speaker.ask(Call("V1DeleteWebhook", item=webhook))
        self.speaker.ask(Call("V1ListWebhooks", query={"limit": 10}))
        self.speaker.ask(self.speaker.pages[-1])
        # To a host without room, to the same URL and events, and to another host.
        for body in (
            {"url": "https://a.example.com/"},
            {"url": "https://C.example.com:443/17#top", "events": ["*"], "status": "active"},
            {"url": "https://d.example.com/17", "events": ["task.*"], "status": "paused"},
            {"url": "https://c.example.com/17", "events": ["*"], "status": "active"},
        ):
            self.speaker.ask(Call("V1UpdateWebhook", item=tested, body=body))
        # The second one of each is refused: so soon after a test, while a recovery runs, while an older secret is good.
        since = {"since": timestamp(self.speaker.now() - timedelta(days=3))}
        for webhook in (recovered, tested, tested):
            self.speaker.ask(Call("V1TestWebhook", item=webhook))
        for _ in range(2):
            self.speaker.ask(Call("V1RecoverEvents", item=recovered, body=since))
        for note in (self.speaker.known.recoveries[-1][1], NOTHING):
            self.speaker.ask(Call("V1GetRecovery", item=recovered, note=note))
        for note in (self.speaker.known.deliveries[-1][1], NOTHING):
            self.speaker.ask(Call("V1GetDelivery", item=tested, note=note))
        self._ask_twice(Call("V1RotateWebhook", item=rotated, body={}, key="rotated"))
        self.speaker.ask(Call("V1RotateWebhook", item=rotated, body={}))

    def _make_webhook(self, url: str) -> None:
        self._ask_twice(Call("V1CreateWebhook", body={"url": url, "events": ["*", "*"]}, key=url))

    def _ask_twice(self, call: Call) -> None:
        """The answer to the repeated request has the secret, too."""
        self.speaker.ask(call)
        self.speaker.ask(call)

    def again(self) -> Speaker:
        """A copy of the speaker in its state at the start."""
        world = self.speaker.world
        return copy.deepcopy(self.speaker, {id(world): world})

    def restore(self) -> None:
        """Restores the rows of the table at the start."""
        now = self._table.items()
        changed = [row for key, row in self._rows.items() if now.get(key) != row]
        self._table.write(changed, [*(now.keys() - self._rows.keys())])

    def rows_naming(self, ids: Iterable[str]) -> list[str]:
        """The keys in the table that contain one of the ids. Rows of what is due go when they are, and not here."""
        rows = [at for at in self._table.items() if not at.pk.startswith(keys.DUE_PREFIX)]
        return [" / ".join(at) for at in rows if any(id in part for id in ids for part in at)]
