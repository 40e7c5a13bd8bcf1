"""Every key of the one table. Nothing else spells a key.

Every partition starts with the tenant, except credentials, which are found before the tenant is known, and the purge
queue. There is no index: what is listed is a range of a partition, read consistently, over rows written in the same
transaction as what they list.

| access | key | call |
|---|---|---|
| a tenant | `T#<tenant>#T` / `META` | get |
| how many active users are admins of it | same / `ADMINS` | get |
| its spaces, by age | same / `SPACE#<space>` | query |
| a space | `T#<tenant>#S#<space>` / `META` | get |
| how many owners it has | same / `OWNERS` | get |
| its members | same / `ROLE#<principal>` | query |
| its projects, by age | same / `PROJECT#<project>` | query, get |
| a project | `T#<tenant>#P#<project>` / `META` | get |
| its members | same / `ROLE#<principal>` | query, get |
| its tasks, datasets, experiments, decisions, by age | same / `TASK#<task>` … | query, get |
| a project with members and tasks | same / from `META` to `TASK#` | query |
| a task's notes, by age | same / `TASKNOTE#<task>#<note>` | query, get |
| a principal, with its space roles | `T#<tenant>#U#<principal>` / `META` | get |
| the projects it is a member of, by age | same / `PROJECT#<project>` | query |
| its credentials | same / `CREDENTIAL#<credential>` | get, query |
| the credentials that one of them made | same / `ISSUED#<credential>#<principal>#<credential>` | query |
| a tenant's principals, by age | `T#<tenant>#D` / `PRINCIPAL#<principal>` | query |
| a principal by its name in another system | same / `EXTERNAL#<external id>` | get |
| a principal by e-mail, or its beginning | same / `EMAIL#<e-mail>` | get, query |
| a principal by the beginning of a word of its name | same / `NAME#<words>#<principal>` | query |
| an event of the ledger | `T#<tenant>#L#<shard>` / `<event>` | get, query |
| its webhooks, by age | `T#<tenant>#H` / `ENDPOINT#<webhook>` | query, get |
| how often these have become more or others | same / `CHANGES` | get |
| how a webhook fares | `T#<tenant>#W#<webhook>` / `STATE` | get |
| its deliveries, by the age of their events | same / `D#<event>` | query, get |
| those that wait until it answers again, by age | same / `OPEN#<event>` | query |
| its recoveries | same / `JOB#<recovery>` | get |
| when a webhook, or one delivery, is due | `DUE#<shard>` / `<time>#<tenant>#<webhook>`, `…#<event>` | query |
| an idempotency record | `T#<tenant>#I#<sha-256>` / `META` | get |
| a credential | `KEY#<sha-256>` / `META` | get |
| what deletions left to be purged | `PURGE#<shard>` / `<tenant>#<project>`, `<tenant>#<project>#<task>` | query |
| the same of spaces, principals, webhooks | same / `<tenant>#S#<space>`, `…#U#<principal>`, `…#W#<webhook>` | query |
| the sweep's pulse | `PULSE` / `META` | update |
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple
from zlib import crc32

# The number of what rows there are and what is in them, raised by a change for which older data is not made ready. Data
# of a laptop keeps it beside itself.
LAYOUT = 3


class Key(NamedTuple):
    pk: str
    sk: str


class Span(NamedTuple):
    """Neighbours in a partition: the rows from one sort key to another, both included."""

    pk: str
    first: str
    last: str


# The row that a partition is about.
META = "META"
# The row of a member, of a project or a space.
ROLE = "ROLE#"
PROJECT = "PROJECT#"
TASK = "TASK#"
RECORDS = ("task", "dataset", "experiment", "decision")
CREDENTIAL = "CREDENTIAL#"
ISSUED = "ISSUED#"
SPACE = "SPACE#"
PRINCIPAL = "PRINCIPAL#"
EXTERNAL = "EXTERNAL#"
EMAIL = "EMAIL#"
NAME = "NAME#"
ENDPOINT = "ENDPOINT#"
DELIVERY = "D#"
# A delivery that waits until its webhook answers again.
OPEN = "OPEN#"

# Deletions are spread over this many partitions, so that a burst of them is not one partition's burst.
PURGE_SHARDS = 8

# So are deliveries of webhooks that are due.
DUE_SHARDS = 8

# So is the ledger of a tenant: each partition takes some five hundred small events a second.
LEDGER_SHARDS = 4


def tenant_prefix(tenant: str) -> str:
    """What every partition of a tenant starts with; the closing # keeps tenant `ab` out of tenant `abc`."""
    return f"T#{tenant}#"


def tenant_of(pk: str) -> str:
    """The tenant of one of its partitions. Raises ValueError for any other partition."""
    kind, tenant, _ = pk.split("#", 2)
    if kind != "T":
        raise ValueError("a partition of no tenant")
    return tenant


CREDENTIAL_PREFIX = "KEY#"
PURGE_PREFIX = "PURGE#"
DUE_PREFIX = "DUE#"

# Each sweep writes it, so that the stream is never quiet for long. template.yaml names it in a filter.
PULSE = Key("PULSE", META)


def tenant(tenant: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}T", META)


def admins(tenant: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}T", "ADMINS")


def tenant_space(tenant: str, space: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}T", SPACE + space)


def space(tenant: str, space: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", META)


def owners(tenant: str, space: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", "OWNERS")


def space_member(tenant: str, space: str, principal: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", ROLE + principal)


def space_project(tenant: str, space: str, project: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", PROJECT + project)


def project(tenant: str, project: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", META)


def member(tenant: str, project: str, principal: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", ROLE + principal)


def records(kind: str) -> str:
    """The prefix of a project's records of a kind, one of RECORDS."""
    return f"{kind.upper()}#"


def record(tenant: str, project: str, kind: str, record: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", records(kind) + record)


def notes(task: str) -> str:
    """The prefix of a task's notes. It sorts behind all tasks, outside of the range of a project with its tasks."""
    return f"TASKNOTE#{task}#"


def note(tenant: str, project: str, task: str, note: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", notes(task) + note)


def principal(tenant: str, principal: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}U#{principal}", META)


def principal_project(tenant: str, principal: str, project: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}U#{principal}", PROJECT + project)


def principal_credential(tenant: str, principal: str, credential: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}U#{principal}", CREDENTIAL + credential)


def issued_by(credential: str) -> str:
    """The prefix of what a credential of a principal made."""
    return f"{ISSUED}{credential}#"


def issued(tenant: str, principal: str, credential: str, holder: str, made: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}U#{principal}", f"{issued_by(credential)}{holder}#{made}")


def directory(tenant: str) -> str:
    """The partition of a tenant's directory."""
    return f"{tenant_prefix(tenant)}D"


def listed_principal(tenant: str, principal: str) -> Key:
    return Key(directory(tenant), PRINCIPAL + principal)


def external(tenant: str, external_id: str) -> Key:
    return Key(directory(tenant), EXTERNAL + external_id)


def email(tenant: str, email: str) -> Key:
    return Key(directory(tenant), EMAIL + email)


def name(tenant: str, words: str, principal: str) -> Key:
    return Key(directory(tenant), f"{NAME}{words}#{principal}")


def is_root(sk: str) -> bool:
    """Whether the row with a sort key, if it counts its changes, is a root."""
    return sk == META or sk.startswith(ENDPOINT)


def _ledger_shard(tenant: str, shard: int | str) -> str:
    return f"{tenant_prefix(tenant)}L#{shard}"


def event(tenant: str, event: str) -> Key:
    return Key(_ledger_shard(tenant, crc32(event.encode()) % LEDGER_SHARDS), event)


def ledger_shards(tenant: str) -> list[str]:
    """The partitions of a tenant's ledger."""
    return [_ledger_shard(tenant, shard) for shard in range(LEDGER_SHARDS)]


def ledger(tenant: str, first: str, last: str) -> list[Span]:
    """The events from one id to another in each partition of a tenant's ledger."""
    return [Span(pk, first, last) for pk in ledger_shards(tenant)]


def endpoint(tenant: str, webhook: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}H", ENDPOINT + webhook)


def endpoint_changes(tenant: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}H", "CHANGES")


def endpoint_state(tenant: str, webhook: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}W#{webhook}", "STATE")


def delivery(tenant: str, webhook: str, event: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}W#{webhook}", DELIVERY + event)


def open_delivery(tenant: str, webhook: str, event: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}W#{webhook}", OPEN + event)


def recovery(tenant: str, webhook: str, recovery: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}W#{webhook}", f"JOB#{recovery}")


def due(at: str, tenant: str, webhook: str, event: str | None = None) -> Key:
    """The row of a webhook, or of one of its deliveries, that is due at the timestamp `at`."""
    named = f"{tenant}#{webhook}" + (f"#{event}" if event else "")
    return Key(f"{DUE_PREFIX}{crc32(named.encode()) % DUE_SHARDS}", f"{at}#{named}")


def due_until(at: str) -> list[Span]:
    """The rows that are due at the timestamp `at`, in each partition."""
    return [Span(f"{DUE_PREFIX}{shard}", _FIRST, f"{at}#{_LAST}") for shard in range(DUE_SHARDS)]


def due_of(sk: str) -> tuple[str, str, str | None]:
    """The tenant, the webhook and the event, None for a webhook as a whole, of a row of what is due."""
    _, tenant, webhook, *event = sk.split("#")
    return tenant, webhook, event[0] if event else None


def idempotency(tenant: str, sha256: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}I#{sha256}", META)


def credential(sha256: str) -> Key:
    return Key(CREDENTIAL_PREFIX + sha256, META)


def purge(tenant: str, project: str, task: str | None = None) -> Key:
    return _queued(tenant, project, project + (f"#{task}" if task else ""))


def purge_of_space(tenant: str, space: str) -> Key:
    return _queued(tenant, space, f"S#{space}")


def purge_of_principal(tenant: str, principal: str) -> Key:
    return _queued(tenant, principal, f"U#{principal}")


def purge_of_webhook(tenant: str, webhook: str) -> Key:
    return _queued(tenant, webhook, f"W#{webhook}")


def _queued(tenant: str, id: str, deleted: str) -> Key:
    return Key(f"{PURGE_PREFIX}{crc32(id.encode()) % PURGE_SHARDS}", f"{tenant}#{deleted}")


def purge_shards() -> list[str]:
    """The partitions of the purge queue."""
    return [f"{PURGE_PREFIX}{shard}" for shard in range(PURGE_SHARDS)]


# ---------------------------------------------------------------- ranges

# The order of sort keys in a project's partition:
#
#   DATASET# DECISION# EXPERIMENT#   a report reads these at once
#   META ROLE# TASK#                 a project that is read whole; META first, so it is never newer than the rest
#   TASKNOTE#
#
# A range reads all that stands between its ends, so no other kind may sort in there.
REPORTED = ("dataset", "decision", "experiment")
_REPORTED = tuple(map(records, REPORTED))
_WHOLE = (META, ROLE, TASK)

# Behind every id; before and behind every sort key of letters and digits; behind every text.
_BEHIND_IDS = "\x7f"
_FIRST, _LAST = "!", "~"
_BEHIND_TEXTS = "\U0010ffff"


def whole_project(pk: str) -> Span:
    """META of a project, its members and its tasks."""
    return Span(pk, _WHOLE[0], _WHOLE[-1] + _BEHIND_IDS)


def members_and_tasks(pk: str) -> Span:
    """The same without META."""
    return Span(pk, ROLE, TASK + _BEHIND_IDS)


def report(pk: str) -> Span:
    """A project's datasets, decisions and experiments, in this order."""
    return Span(pk, _REPORTED[0], _REPORTED[-1] + _BEHIND_IDS)


def beginning(pk: str, prefix: str, after: str | None = None) -> Span:
    """The rows whose sort key is the prefix and an id, behind the id `after`."""
    return Span(pk, prefix if after is None else f"{prefix}{after}\x00", prefix + _BEHIND_IDS)


def matching(pk: str, prefix: str) -> Span:
    """The rows of a directory whose sort key begins so, with any text behind."""
    return Span(pk, prefix, prefix + _BEHIND_TEXTS)


def everything(pk: str, after: str | None = None) -> Span:
    """All rows of a partition whose sort keys are of letters and digits, behind the sort key `after`."""
    return Span(pk, _FIRST if after is None else after + "\x00", _LAST)


def require_places(kinds: Iterable[str]) -> None:
    """Raises ValueError for a kind of records that a range of others would read."""
    for prefix in map(records, kinds):
        for read in (_REPORTED, _WHOLE):
            if prefix not in read and read[0] <= prefix <= read[-1] + _BEHIND_IDS:
                raise ValueError(f"{prefix} would be read with {' '.join(read)}: give the kind another name.")


require_places(RECORDS)


# ---------------------------------------------------------------- from a key back to what it names


class Named(NamedTuple):
    """What a key names: the kind of its row, and the ids in it, each under the name of what it is the id of."""

    kind: str
    ids: dict[str, str]


def _hex(name: str, digits: int = 24) -> str:
    return f"(?P<{name}>[0-9a-f]{{{digits}}})"


_T, _P, _U = _hex("tenant"), _hex("project"), _hex("principal")

# Each kind's key, spelled of patterns in the place of ids.
_PATTERNS = {
    "tenant": tenant(_T),
    "admins": admins(_T),
    "tenant_space": tenant_space(_T, _hex("space")),
    "space": space(_T, _hex("space")),
    "owners": owners(_T, _hex("space")),
    "space_member": space_member(_T, _hex("space"), _U),
    "space_project": space_project(_T, _hex("space"), _P),
    "project": project(_T, _P),
    "member": member(_T, _P, _U),
    **{kind: record(_T, _P, kind, _hex("record")) for kind in RECORDS},
    "note": note(_T, _P, _hex("task"), _hex("note")),
    "principal": principal(_T, _U),
    "principal_project": principal_project(_T, _U, _P),
    "principal_credential": principal_credential(_T, _U, _hex("credential")),
    "issued": issued(_T, _U, _hex("credential"), _hex("holder"), _hex("made")),
    "listed_principal": listed_principal(_T, _U),
    "external": external(_T, "(?P<external_id>.+)"),
    "email": email(_T, "(?P<email>.+)"),
    "name": name(_T, "(?P<words>.*)", _U),
    "event": Key(_ledger_shard(_T, "[0-9]+"), _hex("event")),
    "endpoint": endpoint(_T, _hex("webhook")),
    "endpoint_changes": endpoint_changes(_T),
    "endpoint_state": endpoint_state(_T, _hex("webhook")),
    "delivery": delivery(_T, _hex("webhook"), _hex("event")),
    "open_delivery": open_delivery(_T, _hex("webhook"), _hex("event")),
    "recovery": recovery(_T, _hex("webhook"), _hex("recovery")),
    "due": Key(f"{DUE_PREFIX}[0-9]+", f"[^#]+#{_T}#{_hex('webhook')}(?:#{_hex('event')})?"),
    "replay": idempotency(_T, _hex("sha256", 64)),
    "credential": credential(_hex("sha256", 64)),
    "purge": Key(
        f"{PURGE_PREFIX}[0-9]+", f"{_T}#(?:{_P}(?:#{_hex('task')})?|S#{_hex('space')}|U#{_U}|W#{_hex('webhook')})"
    ),
    "pulse": PULSE,
}
_PRIVATE = f"({EMAIL}|{NAME}|{EXTERNAL}|{CREDENTIAL_PREFIX}|(?=[^#]*@)).*"


@cache
def _forms() -> dict[str, tuple[re.Pattern[str], ...]]:
    """Compiled when the check first asks: no other function's start should wait for it."""
    return {kind: tuple(re.compile(part, re.DOTALL) for part in pattern) for kind, pattern in _PATTERNS.items()}


def named(key: Key) -> Named | None:
    """What a key names; None for one that nothing above spells."""
    for kind, (pk, sk) in _forms().items():
        if (first := pk.fullmatch(key.pk)) and (second := sk.fullmatch(key.sk)):
            return Named(kind, {name: id for name, id in (first.groupdict() | second.groupdict()).items() if id})
    return None


def redacted(key: Key) -> Key:
    """The key as it may be shown to whoever runs Atrium: without e-mail addresses, names and hashes of credentials."""
    return Key(*(re.sub(_PRIVATE, r"\1…", part, flags=re.DOTALL) for part in key))
