"""Every key of the one table. Nothing else spells a key.

Every partition starts with the tenant, except credentials, which are found before the tenant is known, and the purge
queue. There is no index: what is listed is a range of a partition, read consistently, over rows written in the same
transaction as what they list.

| access | key | call |
|---|---|---|
| a space | `T#<tenant>#S#<space>` / `META` | get |
| its members | same / `MEMBER#<principal>` | query |
| its projects, by age | same / `PROJECT#<project>` | query, get |
| a project | `T#<tenant>#P#<project>` / `META` | get |
| its members | same / `MEMBER#<principal>` | query, get |
| its tasks, datasets, experiments, decisions, by age | same / `TASK#<task>` … | query, get |
| a project with members and tasks | same / from `MEMBER#` to `TASK#` | query |
| a task's notes, by age | same / `TASKNOTE#<task>#<note>` | query, get |
| a principal, with its space roles | `T#<tenant>#U#<principal>` / `META` | get |
| the projects it is a member of, by age | same / `PROJECT#<project>` | query |
| a principal by e-mail, or its beginning | `T#<tenant>#D` / `EMAIL#<e-mail>` | get, query |
| a principal by the beginning of a word of its name | same / `NAME#<words>#<principal>` | query |
| an idempotency record | `T#<tenant>#I#<sha-256>` / `META` | get |
| a credential | `KEY#<sha-256>` / `META` | get |
| what deletions left to be purged | `PURGE#<shard>` / `<tenant>#<project>`, `<tenant>#<project>#<task>` | query |
"""

from typing import NamedTuple
from zlib import crc32


class Key(NamedTuple):
    pk: str
    sk: str


MEMBER = "MEMBER#"
PROJECT = "PROJECT#"
TASK = "TASK#"
EMAIL = "EMAIL#"
NAME = "NAME#"

# Deletions are spread over this many partitions, so that a burst of them is not one partition's burst.
PURGE_SHARDS = 8


def tenant_prefix(tenant: str) -> str:
    """What every partition of a tenant starts with; the closing # keeps tenant `ab` out of tenant `abc`."""
    return f"T#{tenant}#"


CREDENTIAL_PREFIX = "KEY#"
PURGE_PREFIX = "PURGE#"


def space(tenant: str, space: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", "META")


def space_member(tenant: str, space: str, principal: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", MEMBER + principal)


def space_project(tenant: str, space: str, project: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}S#{space}", PROJECT + project)


def project(tenant: str, project: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", "META")


def member(tenant: str, project: str, principal: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", MEMBER + principal)


def records(kind: str) -> str:
    """The prefix of a project's records of a kind: task, dataset, experiment or decision."""
    return f"{kind.upper()}#"


def record(tenant: str, project: str, kind: str, record: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", records(kind) + record)


def notes(task: str) -> str:
    """The prefix of a task's notes. It sorts behind all tasks, outside of the range of a project with its tasks."""
    return f"TASKNOTE#{task}#"


def note(tenant: str, project: str, task: str, note: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}P#{project}", notes(task) + note)


def principal(tenant: str, principal: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}U#{principal}", "META")


def principal_project(tenant: str, principal: str, project: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}U#{principal}", PROJECT + project)


def directory(tenant: str) -> str:
    """The partition of a tenant's directory."""
    return f"{tenant_prefix(tenant)}D"


def email(tenant: str, email: str) -> Key:
    return Key(directory(tenant), EMAIL + email)


def name(tenant: str, words: str, principal: str) -> Key:
    return Key(directory(tenant), f"{NAME}{words}#{principal}")


def idempotency(tenant: str, sha256: str) -> Key:
    return Key(f"{tenant_prefix(tenant)}I#{sha256}", "META")


def credential(sha256: str) -> Key:
    return Key(CREDENTIAL_PREFIX + sha256, "META")


def purge(tenant: str, project: str, task: str | None = None) -> Key:
    shard = crc32(project.encode()) % PURGE_SHARDS
    return Key(f"{PURGE_PREFIX}{shard}", f"{tenant}#{project}" + (f"#{task}" if task else ""))


def purge_shards() -> list[str]:
    """The partitions of the purge queue."""
    return [f"{PURGE_PREFIX}{shard}" for shard in range(PURGE_SHARDS)]
