"""The webhooks of a tenant, their deliveries and their recoveries, as its admins see and change them.

No function behind the bus runs here, so nothing is delivered: only tests make deliveries, each stays pending without an
attempt until it is given up, a recovery goes on for ever, and no webhook fails or is disabled.
tests/automation/webhooks has what attempts come to.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from tests.model.answers import (
    NOT_WEBHOOKS,
    RECOVERY_RUNS,
    TESTED_JUST_NOW,
    TOO_MANY_OF_A_HOST,
    TOO_MANY_WEBHOOKS,
    Expected,
    inactive_webhook,
    invalid,
    not_found,
    require,
    rotated_already,
)
from tests.model.kernel import Kernel
from tests.model.state import Delivery, Moment, Recovery, Webhook, WebhookSecret
from tests.support.client import v1_id

MAX_WEBHOOKS = 20
MAX_OF_A_HOST = 3
TESTED_AFTER = timedelta(minutes=1)
GIVEN_UP_AFTER = timedelta(hours=76)
OVERLAP = 86_400

# The fields of a body, with their values where it has none.
DEFAULTS = {"space_ids": None, "project_ids": None, "description": ""}


class Webhooks(Kernel):
    def list_webhooks(self) -> Expected:
        own = self._own_webhooks()
        page, more = self._page(own, 20)
        return self._listed([self._webhook(own[id]) for id in page], more)

    def get_webhook(self) -> Expected:
        return self._shown_webhook(self._the_webhook())

    def create_webhook(self) -> Expected:
        own = self._own_webhooks()
        self._replay()
        self._match_nothing()
        made = Webhook(
            self.fresh,
            self.me.tenant,
            **DEFAULTS | once(self.body),
            newest=WebhookSecret(self._webhook_secrets),
            created_at=self.now,
            updated_at=self.now,
        )
        self._require_room(made.host, own.values())
        self.webhooks[made.id] = made
        self._commit_on(made, "webhook.created", self._told(made))
        return self._shown_webhook(made, 201, secret=made.newest)

    def update_webhook(self) -> Expected:
        """Those of another host count, and a URL that is spelled otherwise is the same one."""
        found = self._the_webhook()
        self._match(found.version)
        changes = {name: value for name, value in once(self.body).items() if value != getattr(found, name)}
        if not changes:
            self.succeeded = True
            return self._shown_webhook(found)
        host = urlsplit(changes.get("url", found.url)).hostname or ""
        if host != found.host:
            self._require_room(host, [each for each in self._own_webhooks().values() if each is not found])
        vars(found).update(changes)
        found.updated_at, found.version = self.now, found.version + 1
        self._commit_on(found, "webhook.updated", self._told(found), changes)
        return self._shown_webhook(found)

    def delete_webhook(self) -> Expected:
        found = self._the_webhook()
        self._match(found.version)
        del self.webhooks[found.id]
        self._commit_on(found, "webhook.deleted", self._told(found))
        return Expected(204, confirms=True)

    def rotate_webhook(self) -> Expected:
        """Without an overlap both older secrets end."""
        found = self._the_webhook()
        self._match(found.version)
        seconds = self.body.get("overlap_seconds", OVERLAP)
        older = found.older_ends
        require(not seconds or older is None or older.is_over(self.now), rotated_already(older))
        found.older_ends = self._in(timedelta(seconds=seconds))
        found.newest, found.secret_version = WebhookSecret(self._webhook_secrets), found.secret_version + 1
        found.updated_at, found.version = self.now, found.version + 1
        told = self._told(found) | {"previous_expires_at": found.older_ends}
        self._commit_on(found, "webhook.rotated", told, ["secret"])
        return self._shown_webhook(found, secret=found.newest)

    def test_webhook(self) -> Expected:
        """Its event is the one that is delivered. The webhook itself has no other version by it."""
        found = self._the_active_webhook()
        self._match(found.version)
        require(found.tested_until is None or found.tested_until.is_over(self.now), TESTED_JUST_NOW)
        found.tested_until = self._in(TESTED_AFTER)
        made = Delivery(self.fresh, "webhook.tested", self.now, self._in(GIVEN_UP_AFTER))
        found.deliveries[made.event] = made
        self._commit_on(found, "webhook.tested", self._told(found))
        found.event["id"] = v1_id(made.event)
        return self._shown_delivery(made, 202)

    def list_deliveries(self) -> Expected:
        """The latest event first. A webhook here never has so many that a page with a status may be short."""
        kept = self._the_webhook().deliveries
        query = self.call.query
        since = Moment.at(query["since"]) if "since" in query else None
        left = [
            each
            for id, each in sorted(kept.items(), reverse=True)
            if (self.call.after is None or id < self.call.after)
            and (since is None or since.ended <= each.created_at.begun)
            and query.get("status", each.status(self.now)) == each.status(self.now)
        ]
        page = left[: query.get("limit", 20)]
        more = page[-1].event if len(left) > len(page) else None
        return self._listed([self._delivery(each) for each in page], more)

    def get_delivery(self) -> Expected:
        return self._shown_delivery(self._delivery_of(self._the_webhook()))

    def redeliver_event(self) -> Expected:
        """One that was given up is pending again."""
        found = self._the_webhook()
        delivery = self._delivery_of(found)
        require(found.status == "active", inactive_webhook(found.status))
        self._match(delivery.tag(self.now).text)
        delivery.next_attempt_at, delivery.until = self.now, self._in(GIVEN_UP_AFTER)
        self._commit_on(found, "webhook.redelivered", self._told(found) | {"event_id": v1_id(delivery.event)})
        return self._shown_delivery(delivery, 202)

    def recover_events(self) -> Expected:
        """None ends here, so a webhook has one at most."""
        found = self._the_active_webhook()
        since = Moment.at(self.body["since"])
        until = Moment.at(self.body["until"]) if "until" in self.body else self.now
        until = until if until.is_over(self.now) else self.now
        require(since.ended < until.begun, invalid("since", "Must be before `until`, and before now", "span"))
        require(not found.recoveries, RECOVERY_RUNS)
        self._match(found.version)
        made = Recovery(self.fresh, since, until, self.now)
        found.recoveries[made.id] = made
        told = {"recovery_id": v1_id(made.id), "since": since, "until": until}
        self._commit_on(found, "webhook.recovered", self._told(found) | told)
        return self._shown_recovery(found, made, 202)

    def get_recovery(self) -> Expected:
        found = self._the_webhook()
        require(self.call.note in found.recoveries, not_found("Recovery"))
        return self._shown_recovery(found, found.recoveries[self.call.note])

    # ------------------------------------------------------------ steps

    def _own_webhooks(self) -> dict[str, Webhook]:
        require(self.me.is_admin, NOT_WEBHOOKS)
        return {id: each for id, each in self.webhooks.items() if each.tenant == self.me.tenant}

    def _the_webhook(self) -> Webhook:
        """A replay of an answer comes before the refusal of a webhook that is gone since."""
        own = self._own_webhooks()
        self._replay()
        require(self.call.item in own, not_found("Webhook"))
        return own[self.call.item]

    def _the_active_webhook(self) -> Webhook:
        found = self._the_webhook()
        require(found.status == "active", inactive_webhook(found.status))
        return found

    def _delivery_of(self, webhook: Webhook) -> Delivery:
        require(self.call.note in webhook.deliveries, not_found("Delivery"))
        return webhook.deliveries[self.call.note]

    def _require_room(self, host: str, others: Iterable[Webhook]) -> None:
        hosts = [each.host for each in others]
        require(len(hosts) < MAX_WEBHOOKS, TOO_MANY_WEBHOOKS)
        require(hosts.count(host) < MAX_OF_A_HOST, TOO_MANY_OF_A_HOST)

    # ------------------------------------------------------------ views

    def _told(self, webhook: Webhook) -> dict[str, Any]:
        """The form in events: of the URL, which may hold a token, the host alone."""
        names = ("events", "space_ids", "project_ids", "description", "status", "created_at", "updated_at")
        return {
            "id": v1_id(webhook.id),
            "tenant_id": v1_id(self._tenant_id(webhook.tenant)),
            "host": webhook.host,
            **{name: getattr(webhook, name) for name in names},
        }

    def _webhook(self, webhook: Webhook) -> dict[str, Any]:
        shown = self._told(webhook) | {
            "url": webhook.url,
            "health": "ok",
            "secret_version": webhook.secret_version,
            "previous_secret_expires_at": webhook.older_ends,
        }
        del shown["host"]
        return shown

    def _shown_webhook(self, webhook: Webhook, status: int = 200, **more: Any) -> Expected:
        return Expected(status, self._webhook(webhook) | more, etag=self._tag(webhook.version))

    def _delivery(self, delivery: Delivery) -> dict[str, Any]:
        status = delivery.status(self.now)
        return {
            "event_id": v1_id(delivery.event),
            "type": delivery.type,
            "status": status,
            "attempts": 0,
            "next_attempt_at": delivery.next_attempt_at if status == "pending" else None,
            "last_status": None,
            "last_error": None,
            "created_at": delivery.created_at,
        }

    def _shown_delivery(self, delivery: Delivery, status: int = 200) -> Expected:
        return Expected(status, self._delivery(delivery), etag=delivery.tag(self.now))

    def _shown_recovery(self, webhook: Webhook, recovery: Recovery, status: int = 200) -> Expected:
        shown = {
            "id": v1_id(recovery.id),
            "webhook_id": v1_id(webhook.id),
            "since": recovery.since,
            "until": recovery.until,
            "status": "running",
            "total": None,
            "done": 0,
            "recovered": 0,
            "created_at": recovery.created_at,
            "finished_at": None,
        }
        return Expected(status, shown, etag=self._tag("0-0-0-0"))


def once(body: dict[str, Any]) -> dict[str, Any]:
    """A body as it is kept: nothing is in a list twice, and of a URL's spellings there is one."""
    kept = {name: list(dict.fromkeys(value)) if isinstance(value, list) else value for name, value in body.items()}
    return kept | {"url": spelled_once(body["url"])} if "url" in body else kept


def spelled_once(url: str) -> str:
    """The host in lower case, the port if it is not 443, a path, and no fragment."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port not in (None, 443) else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"https://{parts.hostname}{port}{parts.path or '/'}{query}"


OPERATIONS: dict[str, Callable[[Webhooks], Expected]] = {
    "V1ListWebhooks": Webhooks.list_webhooks,
    "V1CreateWebhook": Webhooks.create_webhook,
    "V1GetWebhook": Webhooks.get_webhook,
    "V1UpdateWebhook": Webhooks.update_webhook,
    "V1DeleteWebhook": Webhooks.delete_webhook,
    "V1RotateWebhook": Webhooks.rotate_webhook,
    "V1TestWebhook": Webhooks.test_webhook,
    "V1ListDeliveries": Webhooks.list_deliveries,
    "V1GetDelivery": Webhooks.get_delivery,
    "V1RedeliverEvent": Webhooks.redeliver_event,
    "V1RecoverEvents": Webhooks.recover_events,
    "V1GetRecovery": Webhooks.get_recovery,
}
