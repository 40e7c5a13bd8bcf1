"""Keyrings: the credentials of principals, and what operators do with them.

A credential has a row of its own with its principal, and one under the digest by which the authorizer finds it. After
a rotation it has two digests, both of which are taken until the older one's deadline. Each change is one transaction on
the credential's own row, as it was read, and on the principal's, so two rotations, or a rotation and a revocation, come
one after the other: no secret is left behind that no row names. A request that dies half-way leaves all or nothing.

A rotation ends no secret that is in use before its deadline. While the older secret is good, another rotation replaces
the newest one if that was never used, since its answer was lost; else it is refused.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from atrium import keys
from atrium.credentials import HINT, IDENTITY, digest, new_secret
from atrium.errors import Code, Conflict, Detail, Invalid, NotFound
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import ENROLS, Caller, Credential, Issuer, timestamp
from atrium.provisioning import Issue, NewCredential, Revocation, Rotation
from atrium.store.engine.table import Item, starting_with
from atrium.store.engine.work import Work
from atrium.store.ledger import count, principal_root, tell
from atrium.store.rows import credential_row, secret_row, to_credential

# How many credentials of a principal are listed for an operator.
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


class Listed(NamedTuple):
    """A credential in its principal's list. `issuer` and `subject` are an identity's; `previous` is the life of the
    secret before the last rotation."""

    id: str
    kind: str
    issuer: str | None
    subject: str | None
    created_at: str
    life: Life
    previous: Life | None


class Stored(NamedTuple):
    """A credential with its row, which has its digests."""

    credential: Credential
    row: Item

    @property
    def key(self) -> Key:
        return Key(self.row["pk"], self.row["sk"])

    @property
    def digests(self) -> list[str]:
        """The newest one first."""
        return [self.row[name] for name in ("sha256", "previous") if name in self.row]


class Keyring:
    """The credentials of one tenant's principals. After a change, `secrets` holds those made here, by the id of their
    credential.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenant = work.caller.tenant
        self.secrets: dict[str, str] = {}

    # ------------------------------------------------------------ what operators do

    def issue(self, request: Issue) -> Issued:
        """Raises Invalid and NotFound."""
        person_key = keys.principal(self._tenant, request.principal_id)
        claimed = [keys.credential(given) for given in [request.credential.digest] if given]
        self._work.read(person_key, *claimed)
        person = self._work.item(person_key)
        if person is None:
            raise _no_principal()
        holder = Caller(self._tenant, request.principal_id, person["kind"])
        self.secrets = {}
        issued = self.add(new_id(), holder, request.credential, ("credential",))
        count(self._work, person_key)
        return issued

    def add(self, id: str, holder: Caller, new: NewCredential, loc: tuple[str | int, ...]) -> Issued:
        """Writes a new credential of a principal, whose digest was read. Raises Invalid."""
        made = Credential(
            id=id,
            tenant=self._tenant,
            principal=holder.principal,
            kind=new.kind,
            name=None,
            hint=None,
            narrowed=None,
            issued_by=None,
            created_at=self._work.now,
            expires_at=timestamp(new.expires_at) if new.expires_at else None,
            revoked_at=None,
        )
        if new.digest is None:
            self.write(made, holder.kind)
            return Issued(id, new.kind)
        if self._work.item(keys.credential(new.digest)) is not None:
            raise Invalid(Detail(loc, "Is in use already", "value_error"))
        named = {"issuer": new.issuer, "subject": new.subject} if new.kind == IDENTITY else {}
        self.write(made, holder.kind, new.digest, **named)
        return Issued(id, new.kind)

    def rotate(self, request: Rotation) -> Rotated:
        """Raises Conflict, Invalid and NotFound."""
        claimed = [keys.credential(request.sha256)] if request.sha256 else []
        found = self._credential(request, *claimed)
        person = self._work.item(keys.principal(self._tenant, request.principal_id))
        if person is None:
            raise _no_principal()
        if claimed and self._work.item(claimed[0]) is not None:
            raise Invalid(Detail(("sha256",), "Is in use already", "value_error"))
        expires_at = timestamp(request.expires_at) if request.expires_at else None
        rotated, ends = self.renew(found, person["kind"], request.overlap_seconds, request.sha256, expires_at)
        count(self._work, keys.principal(self._tenant, request.principal_id))
        return Rotated(rotated.id, rotated.kind, ends)

    def revoke(self, request: Revocation) -> Revoked:
        """A credential that was revoked before keeps its moment. Raises NotFound."""
        found = self._credential(request)
        self._work.read(*map(keys.credential, found.digests))
        revoked = self.end(found)
        person_key = keys.principal(self._tenant, request.principal_id)
        if self._work.events.get(person_key):
            count(self._work, person_key)
        return Revoked(revoked.id, revoked.kind, revoked.revoked_at or "")

    def of(self, principal: str) -> list[Listed]:
        """A principal's credentials, those revoked and expired too; nothing of their secrets. Raises NotFound."""
        person_key = keys.principal(self._tenant, principal)
        (rows,) = self._work.read(person_key, ranges=[starting_with(person_key.pk, keys.CREDENTIAL, None, MAX_LISTED)])
        if self._work.item(person_key) is None:
            raise _no_principal()
        self._work.read(*(keys.credential(row[name]) for row in rows for name in ("sha256", "previous") if name in row))
        return [self._listed(row) for row in sorted(rows, key=lambda row: (row["created_at"], row["id"]))]

    def _listed(self, row: Item) -> Listed:
        newest = self._secret(row["id"], row["sha256"])
        previous = self._secret(row["id"], row["previous"]) if "previous" in row else None
        return Listed(
            row["id"],
            row["kind"],
            row.get("issuer"),
            row.get("subject"),
            row["created_at"],
            Life(row.get("expires_at"), row.get("revoked_at"), newest.get("last_used")),
            Life(previous.get("expires_at"), previous.get("revoked_at"), previous.get("last_used"))
            if previous is not None
            else None,
        )

    def _credential(self, request: Rotation | Revocation, *also: Key) -> Stored:
        key = keys.principal_credential(self._tenant, request.principal_id, request.credential_id)
        self._work.read(key, keys.principal(self._tenant, request.principal_id), *also)
        return self.stored(request.principal_id, key)

    # ------------------------------------------------------------ what operators share with others

    def stored(self, principal: str, key: Key) -> Stored:
        """A credential that was read. Raises NotFound."""
        row = self._work.item(key)
        if row is None:
            raise NotFound("Credential not found.", Code.CREDENTIAL_NOT_FOUND)
        return Stored(to_credential(self._tenant, principal, row), row)

    def write(self, made: Credential, principal_kind: str, given: str | None = None, **more: str | None) -> Credential:
        """Writes a new credential and its event, with the digest that is given, or that of a new secret."""
        hashed, made = self._digest(made, given)
        self._work.put(keys.credential(hashed), secret_row(made, principal_kind, self._work.now))
        row = credential_row(made) | {"sha256": hashed} | more
        self._work.put(keys.principal_credential(self._tenant, made.principal, made.id), row)
        self.tell("credential.created", made)
        return made

    def renew(
        self, found: Stored, principal_kind: str, overlap: int, given: str | None = None, expires_at: str | None = None
    ) -> tuple[Credential, str]:
        """Gives a credential another secret, and returns it with the moment at which the older one ends. One that
        enrols is whole from now on. Without `expires_at` it ends when it did. Raises Conflict."""
        credential, row = found
        if credential.kind == IDENTITY:
            message = "An identity has no secret to rotate. Issue another one and revoke this one."
            raise Conflict(message, Code.NOTHING_TO_ROTATE)
        self._work.read(*map(keys.credential, found.digests))
        newest = self._secret(credential.id, row["sha256"])
        if not newest or credential.status(self._work.now) != "active":
            raise has_ended()
        older, ends = self._make_room(found, newest, overlap)
        hashed, credential = self._digest(credential, given)
        until = credential.whole_until if credential.enrols else credential.expires_at
        rotated = replace(
            credential,
            enrols=False,
            whole_until=None,
            expires_at=expires_at or until,
            version=credential.version + 1,
        )
        self._work.put(keys.credential(hashed), secret_row(rotated, principal_kind, self._work.now))
        self.rewrite(found, rotated, sha256=hashed, previous=older)
        changed = ["expires_at", "previous_expires_at", *(["enrol"] if found.credential.enrols else [])]
        self.tell("credential.rotated", rotated, changed, previous_expires_at=ends)
        return rotated, ends

    def _make_room(self, found: Stored, newest: Item, overlap: int) -> tuple[str, str]:
        """The digest that stays beside that of a new secret, and when it ends. The newest secret ends so many seconds
        from now; or at once, if it was never used and the older one is good. Raises Conflict."""
        row, now = found.row, self._work.now
        newest_key = keys.credential(row["sha256"])
        previous = self._secret(row["id"], row["previous"]) if "previous" in row else {}
        if previous and "revoked_at" not in previous and previous["expires_at"] > now:
            if "last_used" in newest:
                raise _in_use(self._work.caller)
            self._work.delete(newest_key, "attribute_exists(#pk) AND attribute_not_exists(#last_used)")
            return row["previous"], previous["expires_at"]
        ends = timestamp(datetime.now(UTC) + timedelta(seconds=overlap))
        ends = min(ends, newest.get("expires_at", ends))
        self._work.update(
            newest_key,
            "SET #expires_at = :ends",
            "attribute_exists(#pk) AND attribute_not_exists(#revoked_at)",
            ends=ends,
        )
        if previous:
            self._work.delete(keys.credential(row["previous"]), when=None)
        return row["sha256"], ends

    def end(self, found: Stored) -> Credential:
        """Revokes a credential, whose digests were read, with its event. One that was revoked before is as it was. An
        identity may be registered again; the row of what is revoked is no longer among what its issuer made, unless it
        made some itself."""
        credential = found.credential
        if credential.revoked_at is not None:
            self._work.check(found.key, _AS_SEEN, **_seen(credential))
            return credential
        revoked = replace(credential, revoked_at=self._work.now, version=credential.version + 1)
        self.rewrite(found, revoked)
        for hashed in found.digests:
            secret = self._secret(credential.id, hashed)
            if secret and credential.kind == IDENTITY:
                self._work.delete(keys.credential(hashed), "#id = :id", id=credential.id)
            elif secret:
                self._work.update(keys.credential(hashed), "SET #revoked_at = :now", now=self._work.now)
        if credential.issued_by and not credential.issued:
            self._work.delete(self.issued_key(credential, credential.issued_by), when=None)
        # A credential whose principal is lost can be ended, too. No root is left to count an event of it.
        if self._work.item(keys.principal(self._tenant, credential.principal)) is not None:
            self.tell("credential.revoked", revoked, revoked_at=revoked.revoked_at)
        return revoked

    def rewrite(self, found: Stored, changed: Credential, **digests: str) -> None:
        """Writes a credential anew. Fails at the commit if it has changed since it was read, or made another one."""
        unknown = {name: value for name, value in found.row.items() if name in _KEPT}
        row = unknown | credential_row(changed) | digests
        self._work.put(found.key, row, _AS_SEEN, **_seen(found.credential))

    def issued_key(self, made: Credential, issuer: Issuer) -> Key:
        return keys.issued(self._tenant, issuer.principal, issuer.credential, made.principal, made.id)

    def tell(
        self, type: str, credential: Credential, changed: Sequence[str] | None = None, **moments: str | None
    ) -> None:
        row = self._work.item(keys.principal(self._tenant, credential.principal))
        root = principal_root(self._tenant, credential.principal, row)
        tell(self._work, root, type, credential.resource() | moments, changed)

    def _secret(self, id: str, hashed: str) -> Item:
        """The row under a digest that was read; empty for none, and for that of another credential: an identity may
        have been registered again."""
        row = self._work.item(keys.credential(hashed))
        return row if row is not None and row["id"] == id else {}

    def _digest(self, credential: Credential, given: str | None) -> tuple[str, Credential]:
        """The digest that is given, or that of a new secret; and the credential with the hint to its secret."""
        if given is not None:
            return given, replace(credential, hint=None)
        secret = self.secrets[credential.id] = new_secret(credential.kind)
        return digest(secret), replace(credential, hint=secret[-HINT:])


# The row of a credential as it was read. Whatever changes it raises its version, but for what it makes.
_AS_SEEN = "#version = :seen_version AND #issued = :seen_issued"

# The attributes of the row that are no part of the credential.
_KEPT = ("sha256", "previous", "issuer", "subject")


def _seen(credential: Credential) -> dict[str, int]:
    return {"seen_version": credential.version, "seen_issued": credential.issued}


def has_ended() -> Conflict:
    return Conflict("The credential has ended. Issue another one.", Code.CREDENTIAL_ENDED)


def _no_principal() -> NotFound:
    return NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)


def _in_use(caller: Caller) -> Conflict:
    """The refusal of a rotation while two secrets are good, and the newest one was used."""
    if caller.narrowed == ENROLS:
        message = "The credential was made whole, and its new secret is in use. If not by you, have it revoked."
        return Conflict(message, Code.ENROLLED_ALREADY)
    message = "It was rotated, and both of its secrets are in use. Rotate it again once the older one has ended."
    return Conflict(message, Code.ROTATED_ALREADY)
