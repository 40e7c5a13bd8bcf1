"""Keyrings: the credentials of principals, issued, rotated, revoked and listed.

A credential has a row of its own with its principal, and one under the digest by which the authorizer finds it. After
a rotation it has two digests, both of which are taken until the older one's deadline. Each change is one transaction
on the principal's row, so two rotations, or a rotation and a revocation, come one after the other: no secret is left
behind that no row names.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from atrium import keys
from atrium.credentials import IDENTITY, digest, new_secret
from atrium.errors import Conflict, Detail, Invalid, NotFound
from atrium.ids import new_id, to_uuid
from atrium.keys import Key
from atrium.models import Caller, timestamp
from atrium.provisioning import Issue, NewCredential, Revocation, Rotation
from atrium.store.engine.table import Item, starting_with
from atrium.store.engine.work import Work
from atrium.store.ledger import count, principal_root, tell

# How many credentials of a principal are listed.
MAX_LISTED = 1_000


class Issued(NamedTuple):
    """A new credential."""

    id: str
    kind: str


class Rotated(NamedTuple):
    """A credential with a new secret. The older one ends at `previous_expires_at`."""

    id: str
    kind: str
    previous_expires_at: str


class Revoked(NamedTuple):
    """A credential that ended at `revoked_at`."""

    id: str
    kind: str
    revoked_at: str


class Life(NamedTuple):
    """The moments of a secret, or of an identity."""

    expires_at: str | None
    revoked_at: str | None
    last_used: str | None


class Credential(NamedTuple):
    """A credential in its principal's list. `issuer` and `subject` are an identity's; `previous` is the life of the
    secret before the last rotation."""

    id: str
    kind: str
    issuer: str | None
    subject: str | None
    created_at: str
    life: Life
    previous: Life | None


class Keyring:
    """The credentials of one tenant's principals. After a change, `secrets` holds those made here, by the id of their
    credential.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant
        self.secrets: dict[str, str] = {}

    def issue(self, request: Issue) -> Issued:
        """Raises Invalid and NotFound."""
        self.secrets = {}
        person_key = keys.principal(self._tenant, request.principal_id)
        claimed = [keys.credential(given) for given in [request.credential.digest] if given]
        self._work.read(person_key, *claimed)
        person = self._work.item(person_key)
        if person is None:
            raise _no_principal()
        holder = Caller(self._tenant, request.principal_id, person["kind"])
        issued = self.add(new_id(), holder, request.credential, ("credential",))
        count(self._work, person_key)
        return issued

    def add(self, id: str, holder: Caller, new: NewCredential, loc: tuple[str | int, ...]) -> Issued:
        """Writes a new credential of a principal, whose digest was read. Raises Invalid."""
        hashed = new.digest or self._made(id, new.kind)
        key = keys.credential(hashed)
        if self._work.item(key) is not None:
            raise Invalid(Detail(loc, "Is in use already", "value_error"))
        expires_at = timestamp(new.expires_at) if new.expires_at else None
        self._work.put(key, _secret_row(id, holder, new.kind, self._work.now, expires_at))
        row: Item = {"id": id, "kind": new.kind, "sha256": hashed, "created_at": self._work.now}
        if new.kind == IDENTITY:
            row |= {"issuer": new.issuer, "subject": new.subject}
        self._work.put(keys.principal_credential(self._tenant, holder.principal, id), row)
        self._tell(holder.principal, "credential.created", row, expires_at=expires_at)
        return Issued(id, new.kind)

    def rotate(self, request: Rotation) -> Rotated:
        """Raises Conflict, Invalid and NotFound."""
        self.secrets = {}
        key, row = self._credential(request)
        if self._work.item(keys.principal(self._tenant, request.principal_id)) is None:
            raise _no_principal()
        if row["kind"] == IDENTITY:
            raise Conflict("An identity has no secret to rotate. Issue another one and revoke this one.")
        claimed = [keys.credential(request.sha256)] if request.sha256 else []
        old_key = keys.credential(row["sha256"])
        self._work.read(old_key, *claimed)
        old = self._work.item(old_key)
        if old is None or _has_ended(old, self._work.now):
            raise Conflict("The credential has ended. Issue another one.")
        hashed = request.sha256 or self._made(row["id"], row["kind"])
        new_key = keys.credential(hashed)
        if self._work.item(new_key) is not None:
            raise Invalid(Detail(("sha256",), "Is in use already", "value_error"))
        holder = Caller(self._tenant, request.principal_id, old["principal_kind"])
        expires_at = _expiry(request, old)
        self._work.put(new_key, _secret_row(row["id"], holder, row["kind"], self._work.now, expires_at))
        ends = timestamp(datetime.now(UTC) + timedelta(seconds=request.overlap_seconds))
        ends = min(ends, old.get("expires_at", ends))
        self._work.update(
            old_key,
            "SET #expires_at = :ends",
            "attribute_exists(#pk) AND attribute_not_exists(#revoked_at)",
            ends=ends,
        )
        if "previous" in row:
            self._work.delete(keys.credential(row["previous"]), when=None)
        self._work.update(key, "SET #sha256 = :new, #previous = :old", "#sha256 = :old", new=hashed, old=row["sha256"])
        shown = {"expires_at": expires_at, "previous_expires_at": ends}
        self._tell(request.principal_id, "credential.rotated", row, ["expires_at", "previous_expires_at"], **shown)
        count(self._work, keys.principal(self._tenant, request.principal_id))
        return Rotated(row["id"], row["kind"], ends)

    def revoke(self, request: Revocation) -> Revoked:
        """A credential that was revoked before keeps its moment. Raises NotFound."""
        key, row = self._credential(request)
        digests = [row[name] for name in ("sha256", "previous") if name in row]
        self._work.read(*map(keys.credential, digests))
        # The rotation that would add a secret behind our back changes this row.
        self._work.check(key, "#sha256 = :current", current=row["sha256"])
        revoked_at: str = self._work.now
        ends = False
        for secret_key in map(keys.credential, digests):
            secret = self._work.item(secret_key)
            if secret and "revoked_at" in secret:
                revoked_at = min(revoked_at, secret["revoked_at"])
            elif secret:
                self._work.update(secret_key, "SET #revoked_at = :now", now=self._work.now)
                ends = True
        person_key = keys.principal(self._tenant, request.principal_id)
        # A credential whose principal is lost can be ended, too. No root is left to count an event of it.
        if ends and self._work.item(person_key) is not None:
            self._tell(request.principal_id, "credential.revoked", row, revoked_at=revoked_at)
            count(self._work, person_key)
        return Revoked(row["id"], row["kind"], revoked_at)

    def of(self, principal: str) -> list[Credential]:
        """A principal's credentials, those revoked and expired too; nothing of their secrets. Raises NotFound."""
        person_key = keys.principal(self._tenant, principal)
        (rows,) = self._work.read(person_key, ranges=[starting_with(person_key.pk, keys.CREDENTIAL, None, MAX_LISTED)])
        if self._work.item(person_key) is None:
            raise _no_principal()
        self._work.read(*(keys.credential(row[name]) for row in rows for name in ("sha256", "previous") if name in row))
        return [self._shown(row) for row in sorted(rows, key=lambda row: (row["created_at"], row["id"]))]

    def _shown(self, row: Item) -> Credential:
        return Credential(
            row["id"],
            row["kind"],
            row.get("issuer"),
            row.get("subject"),
            row["created_at"],
            self._life(row["sha256"]),
            self._life(row["previous"]) if "previous" in row else None,
        )

    def _life(self, hashed: str) -> Life:
        secret = self._work.item(keys.credential(hashed)) or {}
        return Life(secret.get("expires_at"), secret.get("revoked_at"), secret.get("last_used"))

    def _credential(self, request: Rotation | Revocation) -> tuple[Key, Item]:
        key = keys.principal_credential(self._tenant, request.principal_id, request.credential_id)
        self._work.read(key, keys.principal(self._tenant, request.principal_id))
        row = self._work.item(key)
        if row is None:
            raise NotFound("Credential not found.")
        return key, row

    def _tell(
        self, principal: str, type: str, row: Item, changed: Sequence[str] | None = None, **moments: str | None
    ) -> None:
        shown = {
            "id": to_uuid(row["id"]),
            "tenant_id": to_uuid(self._tenant),
            "principal_id": to_uuid(principal),
            "kind": row["kind"],
            "created_at": row["created_at"],
        }
        row_of_principal = self._work.item(keys.principal(self._tenant, principal))
        tell(self._work, principal_root(self._tenant, principal, row_of_principal), type, shown | moments, changed)

    def _made(self, id: str, kind: str) -> str:
        """The digest of a new secret."""
        secret = self.secrets[id] = new_secret(kind)
        return digest(secret)


def _secret_row(id: str, holder: Caller, kind: str, created_at: str, expires_at: str | None) -> Item:
    """The row by which the authorizer finds a credential."""
    row = {
        "id": id,
        "tenant": holder.tenant,
        "principal": holder.principal,
        "principal_kind": holder.kind,
        "kind": kind,
        "created_at": created_at,
    }
    return row if expires_at is None else row | {"expires_at": expires_at}


def _has_ended(secret: Item, now: str) -> bool:
    return "revoked_at" in secret or ("expires_at" in secret and secret["expires_at"] <= now)


def _expiry(request: Rotation, old: Item) -> str | None:
    """When the new secret ends: as the request says, or after as long as the old one was given."""
    if request.expires_at:
        return timestamp(request.expires_at)
    if "expires_at" not in old:
        return None
    given = datetime.fromisoformat(old["expires_at"]) - datetime.fromisoformat(old["created_at"])
    return timestamp(datetime.now(UTC) + given)


def _no_principal() -> NotFound:
    return NotFound("Principal not found.")
