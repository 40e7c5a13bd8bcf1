"""Commands on webhooks, with their outputs."""

from atrium_cli.failures import Exit
from tests.support.client import World
from tests.support.command import Atrium, Between

URL = "https://hooks.acme.example/atrium?token=7Qz"


def test_webhook_is_made_changed_rotated_and_deleted(world: World, atrium: Atrium) -> None:
    space = world.dev["tenants"]["acme"]["spaces"]["default"]
    new = ("webhooks", "create", URL, "--event", "project.*", "--event", "task.created", "--space-id", space)
    made = atrium.made(*new, "--description", "Tickets")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert atrium.made("webhooks", "show", made["id"]) == made
    assert (made["events"], made["space_ids"]) == (["project.*", "task.created"], [space])
    listed = atrium("webhooks", "list")
    assert listed.out == (
        f"id, url                                        status  health\n{made['id']}           active  ok\n  {URL}\n"
    )
    update = ("webhooks", "update", made["id"])
    changed = atrium.made(*update, "--event", "*", "--space-id", "null", "--status", "paused")
    assert (changed["events"], changed["space_ids"], changed["status"]) == (["*"], None, "paused")
    rotated = atrium.made("webhooks", "rotate", made["id"], "--overlap-seconds", "60")
    assert rotated["secret"] not in (secret, None)
    assert rotated["secret_version"] == 2
    refused = atrium("webhooks", "test", made["id"])
    assert (refused.exit, refused.out) == (Exit.CONFLICT, "")
    assert refused.err.startswith("Error: The webhook is paused. Set its status to active first.\n(webhook_inactive,")
    assert atrium("webhooks", "delete", made["id"]).seen == (0, "Deleted.\n", "")
    assert atrium("webhooks", "list").seen == (0, "", "There are none.\n")


def test_lost_answer_of_a_new_webhook_is_met_by_another_with_its_secret(
    world: World, atrium: Atrium, api: Between
) -> None:
    api.faults.append("lost")
    done = atrium("webhooks", "create", URL, "--event", "*", "--only", "secret")
    assert (done.exit, done.err) == (0, "")
    assert len(world("GET", "/v1/webhooks").body["data"]) == 1
    assert done.out.startswith("whsec_")


def test_deliveries_and_recoveries_are_asked_for_and_shown(atrium: Atrium) -> None:
    webhook = atrium.made("webhooks", "create", URL, "--event", "*")["id"]
    tested = atrium.made("webhooks", "test", webhook)
    event = tested["event_id"]
    assert atrium.made("webhooks", "delivery", webhook, event) == tested
    listed = atrium("webhooks", "deliveries", webhook, "--status", "pending", "--since", "2026-01-01")
    assert listed.out == (
        f"event_id, type                        status, attempts  last, next\n{event}  pending           -\n"
        "  webhook.tested                        0                 -\n"
    )
    again = atrium.made("webhooks", "redeliver", webhook, event)
    assert again["next_attempt_at"] is not None
    shown = atrium("webhooks", "deliveries", webhook).out
    assert shown.endswith(f" 0                 {again['next_attempt_at'][:19]}Z\n")
    recovery = atrium.made("webhooks", "recover", webhook, "--since", "2026-01-01")
    assert atrium.made("webhooks", "recovery", webhook, recovery["id"]) == recovery
    refused = atrium("webhooks", "recover", webhook, "--since", "2026-01-01")
    assert (refused.exit, refused.out) == (Exit.CONFLICT, "")
