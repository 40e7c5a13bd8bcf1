"""Judges a run: each commit, each answer, and the orders in which its requests may have come."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import combinations, pairwise, permutations
from typing import Any

from atrium import keys
from atrium.credentials import digest
from atrium.keys import Key
from atrium.store.engine.table import Item
from tests.support.client import HEX24, MOMENT, UUID
from tests.support.schedules.run import Run


def without_bound(row: Any) -> Any:
    """An idempotency record without the sequence that it knows to be the least: it is what was read, and another's
    commit may have come between. The check of the table holds it against META."""
    if row is None or "change" not in row:
        return row
    change = {name: value for name, value in row["change"]["M"].items() if name != "sequence"}
    return {**row, "change": {"M": change}}


def without_chance(text: str, known: Container[str]) -> str:
    """Without the moments that are not known, and with the digest of each secret in its place. Without the shard of an
    event, too, which follows from its id, and the id of its request."""
    text = re.sub(r"(?<=#L#)\d", "<shard>", text)
    text = re.sub(r'(?<="request": {"S": ")[^"]+', "<request>", text)
    text = re.sub(r'(?<="ttl": {"N": ")\d+', "<moment>", text)
    text = MOMENT.sub(lambda found: found[0] if found[0] in known else "<moment>", text)
    return _A_SECRET.sub(lambda found: digest(found[0]), text)


_A_SECRET = re.compile(r"atr_[a-z]+_[0-9A-Za-z]{49}")

# The texts that each new thing has of its own: an id, in one of its spellings; a credential also the digest of its
# secret, which is none of a request, and the hint to it, in a row or in a body.
_OWN = (
    UUID.pattern,
    rf"(?<![0-9a-f]){HEX24.pattern}(?![0-9a-f])",
    r'(?<!#I#)(?<!"fingerprint": {"S": ")(?<![0-9a-f])[0-9a-f]{64}',
    *(rf"(?<={before})[0-9A-Za-z]{{4}}" for before in ('"hint": {"S": "', r'\\"hint\\":\\"')),
)
AN_ID = re.compile("|".join(_OWN))


def difference(shown: str, other: str, order: tuple[int, ...]) -> str:
    here, there = shown.splitlines(), other.splitlines()
    lines = [f"+ {line}" for line in here if line not in there] + [f"- {line}" for line in there if line not in here]
    return "\n".join([f"in the order {order}:", *lines])


# The events of a change of a thing's own fields.
_OF_ITSELF = {
    *(f"{kind}.{verb}" for kind in ("project", "space", "tenant", "principal") for verb in ("created", "updated")),
    *("principal.suspended", "principal.resumed"),
    # The tombstone of a space or a principal has a version of its own.
    *("space.deleted", "principal.deleted"),
}


def judged(before: Item, meta: Item, events: Sequence[Item | None], by: str) -> Iterator[str]:
    """The faults of a project, space, principal or tenant after a commit: `before` is its META before, empty for none;
    `events` are the rows of its last events."""
    types, actors = ({event[name] for event in events if event} for name in ("type", "actor"))
    if None in events:
        yield "a commit without an event"
    if meta["sequence"] != before.get("sequence", 0) + len(events):
        yield f"sequence {meta['sequence']} after {before.get('sequence')}"
    if meta["version"] != before.get("version", 0) + bool(types & _OF_ITSELF):
        yield f"version {meta['version']} after {before.get('version')} with {types}"
    if meta["last_events"] == before.get("last_events"):
        yield "a commit without a new event"
    if actors != {by}:
        yield f"a commit of {by} with events of {actors}"
    if "deleted_at" in before:
        yield "a commit on what is deleted"


def judged_project(members: Mapping[str, Item], meta: Item) -> Iterator[str]:
    """The faults of a project besides."""
    if "deleted_at" not in meta:
        manager = members.get(keys.ROLE + meta["manager"], {}).get("role")
        if manager != "manager":
            yield f"the named manager is {manager}"
        if meta["members"] != len(members):
            yield f"{len(members)} members, counted as {meta['members']}"


def unmended(rows: Mapping[Key, Any], deleted: Sequence[str]) -> Iterator[str]:
    """The rows that a purge has left of what was deleted, and projects that it has left to no one."""
    for key, row in rows.items():
        if "deleted_at" in row or ("#L#" not in key.pk and any(id in key.pk + key.sk for id in deleted)):
            yield f"left by the purge: {key}"
        if "#P#" in key.pk and key.sk == keys.META:
            tenant, manager, space = row["tenant"]["S"], row["manager"]["S"], row["space"]["S"]
            needed = keys.principal(tenant, manager), keys.space(tenant, space)
            if any(each not in rows or "deleted_at" in rows[each] for each in needed):
                yield f"{key} is managed by {manager} in {space}"


def misanswered(run: Run) -> Iterator[str]:
    """Answers that do not tell what the request did; requests with one key that did something twice, or were answered
    differently."""
    answered = [attempt for attempt in run.attempts if attempt.answer]
    for attempt in answered:
        answer: Any = attempt.answer
        if answer.status >= 500:
            yield f"{attempt.sent.request}: {answer.status} {answer.content.decode()}"
        if answer.replayed and answer.content != answer.recorded:
            yield f"{attempt.sent.request}: a secret once more"
        leaves_something = attempt.succeeded and (attempt.changes or attempt.sent.key)
        if attempt.commits != bool(leaves_something):
            yield f"{attempt.sent.request}: {attempt.commits} commits and {answer.status} {dict(answer.headers)}"
    for name in {attempt.sent.name for attempt in run.attempts if attempt.sent.key}:
        twins = [attempt for attempt in run.attempts if attempt.sent.name == name]
        if sum(attempt.commits for attempt in twins) > 1:
            yield f"{name}: committed more than once"
        answers: Any = [attempt.answer for attempt in twins if attempt.answer and attempt.answer.status < 300]
        if len({(answer.status, answer.headers.get("etag"), answer.recorded) for answer in answers}) > 1:
            yield f"{name}: answered differently: {answers}"


def only_order(run: Run) -> tuple[int, ...] | None:
    """The order of the requests, if each began when the one before it was answered."""
    attempts = sorted(run.attempts, key=lambda attempt: attempt.began)
    if any(attempt.answer is None for attempt in attempts):
        return None
    one_by_one = all(first.ended < second.began for first, second in pairwise(attempts))
    return tuple(attempt.actor for attempt in attempts) if one_by_one else None


def orders_of(run: Run) -> Iterator[tuple[int, ...]]:
    """Every order in which the requests may have come, as far as a client could tell: what had ended before another
    began was before it, and one that crashed may have done nothing. The order of the commits first.
    """
    crashed = [attempt for attempt in run.attempts if attempt.answer is None]
    ended = [*run.commits, *(attempt for attempt in run.attempts if attempt not in run.commits)]
    for lost in ([], crashed) if crashed else ([],):
        attempts = [attempt for attempt in ended if attempt not in lost]
        for order in permutations(attempts):
            if not any(second.ended < first.began for first, second in combinations(order, 2)):
                yield tuple(attempt.actor for attempt in order)
