"""Credentials: the row under a secret's hash, and the row in the list of its principal."""

from atrium import keys
from atrium.keys import Key
from atrium.store.fsck.damage import Damage, Rule, is_right, malformed, read


def credential(key: Key, sha256: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("credential", row):
        return malformed("credential", key, row)
    person_key = keys.principal(row["tenant"], row["principal"])
    listed_key = keys.principal_credential(row["tenant"], row["principal"], row["id"])
    person, listed = yield from read(person_key, listed_key)
    if person is None:
        return [Damage("credential_of_nobody", key, {key: row, person_key: None})]
    if listed is None or sha256 not in (listed.get("sha256"), listed.get("previous")):
        # The credential still authenticates, but cannot be listed, rotated or revoked. A person must decide about it.
        return [Damage("credential_unlisted", key, {key: row, listed_key: listed})]
    return []


def principal_credential(key: Key, credential: str, **_: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("principal_credential", row, id=credential):
        return malformed("principal_credential", key, row)
    digests = [keys.credential(row[name]) for name in ("sha256", "previous") if name in row]
    secrets = yield from read(*digests)
    lost = [secret_key for secret_key, secret in zip(digests, secrets, strict=True) if secret is None]
    return [Damage("credential_lost", key, {key: row, lost[0]: None})] if lost else []
