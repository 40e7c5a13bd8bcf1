"""Credentials: the row under a secret's hash, the row in the list of its principal, and that under what made it."""

from atrium import keys
from atrium.credentials import IDENTITY
from atrium.keys import Key
from atrium.models import ENROLS, Narrowing
from atrium.store.engine.table import Item
from atrium.store.fsck.damage import Damage, Rule, is_right, malformed, read
from atrium.store.rows import to_credential, to_issuer, to_narrowing


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
    if is_right("principal_credential", listed) and _is_more(row, listed):
        return [Damage("credential_differs", key, {key: row, listed_key: listed})]
    return []


def _is_more(secret: Item, listed: Item) -> bool:
    """Whether a secret is good for more, or for longer, than the list says of its credential, or names another issuer
    in the events that it makes."""
    of_it = to_credential(secret["tenant"], secret["principal"], listed)
    if of_it.revoked_at is not None:
        return "revoked_at" not in secret
    ends, until = secret.get("expires_at"), of_it.expires_at
    is_longer = until is not None and (ends is None or ends > until)
    is_anothers = to_issuer(secret) != of_it.issued_by
    # The older secret of one that is whole by now still enrols, which is never more than the whole one is good for.
    narrowed = to_narrowing(secret)
    return is_anothers or is_longer or (narrowed != ENROLS and not (of_it.effective or Narrowing()).covers(narrowed))


def principal_credential(key: Key, tenant: str, principal: str, credential: str) -> Rule:
    (row,) = yield from read(key)
    if row is None:
        return []
    if not is_right("principal_credential", row, id=credential):
        return malformed("principal_credential", key, row)
    digests = [keys.credential(row[name]) for name in ("sha256", "previous") if name in row]
    secrets = yield from read(*digests)
    # The identity of one that is revoked is free: it may be registered again, here or elsewhere.
    freed = row["kind"] == IDENTITY and "revoked_at" in row
    lost = [secret_key for secret_key, secret in zip(digests, secrets, strict=True) if secret is None and not freed]
    found = [Damage("credential_lost", key, {key: row, lost[0]: None})] if lost else []
    if "issued_by" not in row or "revoked_at" in row:
        return found
    by = row["issued_by"]
    issued_key = keys.issued(tenant, by["principal"], by["credential"], principal, credential)
    issuer_key = keys.principal_credential(tenant, by["principal"], by["credential"])
    under, issuer = yield from read(issued_key, issuer_key)
    if under is None and issuer is not None:
        seen = {key: row, issued_key: None, issuer_key: issuer}
        found.append(Damage("issued_row_missing", key, seen, {issued_key: {}}))
    return found


def issued(key: Key, tenant: str, principal: str, credential: str, holder: str, made: str) -> Rule:
    """The row names a credential that names its issuer."""
    made_key = keys.principal_credential(tenant, holder, made)
    row, other = yield from read(key, made_key)
    if row is None or (other is not None and not is_right("principal_credential", other)):
        return []
    if other is not None and other.get("issued_by") == {"principal": principal, "credential": credential}:
        return []
    return [Damage("issued_row_of_nothing", key, {key: row, made_key: other}, {key: None})]
