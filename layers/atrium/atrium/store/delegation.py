"""Credentials as their principals, and the admins of a tenant, make, see and change them: no one gets more than it has.

A principal has its own credentials in its hands, with one that is at least as wide: it sees, changes and ends those
that are no wider than the credential it sends, and makes and rotates those that end no later besides. An admin does it
for services likewise. Of another user's credentials an admin makes only such as enrol that person, and rotates none: no
admin holds a credential with which it could act as a person unseen.

What a request may leave behind. A new credential is written together with its row under the credential that made it,
and counted on that one's own row, which must be neither changed nor revoked since it was read. So a revocation with
all that a credential made, which holds these counts, misses none: one of the two commits first, and the other decides
again. The holder's row has the number of its last change, which a new credential holds: two of them do not pass the
limit together. Each request is one transaction, so one that dies half-way leaves all or nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from atrium import keys
from atrium.access_tokens import Identity
from atrium.credentials import IDENTITY, identity_digest
from atrium.errors import Code, Conflict, Duplicate, Forbidden, NotFound, Unfit
from atrium.ids import new_id
from atrium.keys import Key
from atrium.models import (
    Credential,
    CredentialKind,
    Held,
    Issuer,
    Narrowing,
    Page,
    timestamp,
)
from atrium.store.access import Access, beyond_credential, tenant_access
from atrium.store.engine.table import Item, Range, Rows, starting_with
from atrium.store.engine.work import Work
from atrium.store.keyring import Keyring, Stored, has_ended
from atrium.store.ledger import count
from atrium.store.rows import to_credential

# Live credentials of a principal, and among how many of its latest ones they are counted.
MAX_LIVE = 50
_MAX_COUNTED = 1_000

# A credential that enrols a person ends after this at the latest.
ENROLMENT = timedelta(days=7)

# How many are revoked together with the one that made them: each is up to six items of one transaction.
MAX_ISSUED = 15


@dataclass(frozen=True)
class NewCredential:
    """A credential to make. `narrowed` without any part is not narrowed. `proved` gives the identity of which a valid
    access token was sent, None for an invalid one; it is asked for an identity only."""

    kind: CredentialKind
    name: str
    narrowed: Narrowing
    expires_at: str | None = None
    enrols: bool = False
    proved: Callable[[], Identity | None] = lambda: None


class Delegation:
    """The credentials of a tenant's principals, as the caller of one request may see and change them. After a change
    `secrets` holds those made here, by the id of their credential."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._caller = work.caller
        self._keyring = Keyring(work)

    @property
    def secrets(self) -> dict[str, str]:
        return self._keyring.secrets

    # ------------------------------------------------------------ reading

    def list(self, principal: str, *, limit: int, after: str | None) -> Page[Held]:
        """By age. A page may be short: without `credential:manage` the caller sees those that are no wider than its
        own. Two round trips: when they were last used, the second one says. Raises NotFound and Forbidden."""
        pk = keys.principal(self._caller.tenant, principal).pk
        with_all, (rows,) = self._open(principal, ranges=[starting_with(pk, keys.CREDENTIAL, after, limit)])
        found = [Stored(to_credential(self._caller.tenant, principal, row), row) for row in rows]
        seen = [each for each in found if with_all.allows("credential:manage") or self._reaches(each.credential)]
        self._read_secrets(*seen)
        return Page(tuple(map(self._held, seen)), rows[-1]["id"] if rows.more else None)

    def get(self, principal: str, credential: str) -> Held:
        """Raises NotFound and Forbidden."""
        found, access, _ = self._find(principal, credential)
        self._require_reach(found.credential, access)
        self._read_secrets(found)
        return self._held(found)

    # ------------------------------------------------------------ writing

    def create(self, principal: str, new: NewCredential) -> Held:
        """Raises NotFound, Forbidden, VersionRefused, Invalid for what is wider than the caller's own or has ended,
        Conflict when there are too many, or for an identity that is registered."""
        pk = keys.principal(self._caller.tenant, principal).pk
        latest = Range(
            *keys.beginning(pk, keys.CREDENTIAL), _MAX_COUNTED, only=("id", "expires_at", "revoked_at"), descending=True
        )
        access, (rows,) = self._open(principal, self._my_key, ranges=[latest])
        holder = self._work.me if self._is_mine(principal) else self._item(principal)
        if not self._is_mine(principal) and holder["kind"] == "user" and not new.enrols:
            message = "A person makes its own credentials. Issue one that enrols the person."
            raise Forbidden(message, Code.ENROLMENT_REQUIRED)
        self._require_narrower(new.narrowed)
        self._work.replay()
        mine = self._mine()
        made = self._judged(principal, new, mine.credential)
        self._work.match(None)
        if sum(to_live(row, self._work.now) for row in rows) >= MAX_LIVE:
            message = f"A principal has at most {MAX_LIVE} credentials that have not ended. Revoke one first."
            raise Conflict(message, Code.TOO_MANY_CREDENTIALS)
        given = self._registered(new) if new.kind == IDENTITY else {}
        self._hold(access)
        self._keyring.secrets.clear()
        made = self._keyring.write(made, holder["kind"], **given)
        issuer = Issuer(self._caller.principal, mine.credential.id)
        self._work.put(self._keyring.issued_key(made, issuer), {})
        self._keyring.rewrite(mine, replace(mine.credential, issued=mine.credential.issued + 1))
        self._count(principal)
        return Held(made, None, made.status(self._work.now))

    def change(self, principal: str, credential: str, *, name: str | None, expires_at: str | None) -> Held:
        """Gives it another name, or an earlier end; None for no change. What it made, and what these made, ends no
        later. Raises NotFound, Forbidden, VersionRefused, Invalid for an end that is not earlier, Conflict for one that
        has ended, and when those that it made are too many for one transaction."""
        found, access, issued = self._reach(principal, credential, expires_at is not None)
        before = found.credential
        self._work.match(before.version)
        changes: dict[str, Any] = {
            part: value
            for part, value in (("name", name), ("expires_at", expires_at))
            if value is not None and value != getattr(before, part)
        }
        self._hold(access)
        if not changes:
            self._read_secrets(found)
            self._work.check(found.key, "#version = :seen_version", seen_version=before.version)
            return self._held(found)
        if before.status(self._work.now) != "active":
            raise has_ended()
        if "expires_at" in changes:
            self._require_to_come(changes["expires_at"])
            if before.expires_at is not None and changes["expires_at"] > before.expires_at:
                raise Unfit("expires_at", "not_earlier", f"Must be before {before.expires_at}, when it ends now")
        moment = changes.get("expires_at")
        later = [each for each in self._descendants(issued) if _outlives(each.credential, moment)] if moment else []
        self._read_secrets(found, *later)
        for each in later:
            self._end_earlier(each, moment)
        after = self._end_earlier(found, moment, **changes)
        self._count_all()
        return self._held(Stored(after, found.row))

    def revoke(self, principal: str, credential: str, *, issued: bool) -> None:
        """With `issued`, all that it made, and what these made, too. Raises NotFound, Forbidden, VersionRefused, and
        Conflict when these are too many for one transaction."""
        found, access, children = self._reach(principal, credential, issued)
        self._work.match(found.credential.version)
        doomed = [found, *self._descendants(children)]
        self._read_secrets(*doomed)
        self._hold(access)
        for each in doomed:
            self._keyring.end(each)
        self._count_all()

    def rotate(self, principal: str, credential: str, overlap: int) -> tuple[Held, str]:
        """A new secret, and when the older one ends. Raises NotFound, Forbidden, VersionRefused, Conflict for one that
        has ended, has no secret, or was rotated while both of its secrets are in use."""
        found, access, _ = self._find(principal, credential, self._my_key)
        holder = self._work.me if self._is_mine(principal) else self._item(principal)
        if not self._is_mine(principal) and holder["kind"] == "user":
            message = "A person rotates its own credentials. Issue one that enrols the person."
            raise Forbidden(message, Code.ENROLMENT_REQUIRED)
        if found.credential.id != self._caller.credential:
            self._require_wider(found.credential)
            # Nor is the secret given out to one that is revoked by then.
            self._work.check(self._my_key, "attribute_not_exists(#revoked_at)")
        self._work.replay()
        self._work.match(found.credential.version)
        self._hold(access)
        self._keyring.secrets.clear()
        rotated, ends = self._keyring.renew(found, holder["kind"], overlap)
        self._count(principal)
        return Held(rotated, None, rotated.status(self._work.now)), ends

    # ------------------------------------------------------------ who may

    def _is_mine(self, principal: str) -> bool:
        return principal == self._caller.principal

    def _open(self, principal: str, *also: Key, ranges: Sequence[Range] = ()) -> tuple[Access, Sequence[Rows]]:
        """Reads a principal, the items under `also` and the ranges. Raises NotFound and Forbidden: who may not manage
        others is not told whether there is such a one."""
        key = keys.principal(self._caller.tenant, principal)
        rows = self._work.read(key, *also, ranges=ranges)
        access = tenant_access(self._work)
        if not self._is_mine(principal):
            access.require("credential:manage")
        if self._work.item(key) is None:
            raise NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)
        return access, rows

    def _find(
        self, principal: str, credential: str, *also: Key, with_issued: bool = False
    ) -> tuple[Stored, Access, Sequence[Item]]:
        """A credential, and the rows of what it made, if they are asked for. Raises NotFound and Forbidden."""
        key = keys.principal_credential(self._caller.tenant, principal, credential)
        ranges = [_issued(key.pk, credential)] if with_issued else []
        access, rows = self._open(principal, key, *also, ranges=ranges)
        return self._keyring.stored(principal, key), access, rows[0] if with_issued else ()

    def _reach(self, principal: str, credential: str, with_issued: bool) -> tuple[Stored, Access, Sequence[Item]]:
        """A credential that the caller may change; a request that was answered before is answered the same."""
        found, access, issued = self._find(principal, credential, with_issued=with_issued)
        self._require_reach(found.credential, access)
        self._work.replay()
        return found, access, issued

    def _reaches(self, credential: Credential) -> bool:
        """Whether the caller has a credential of its own in its hands."""
        if not self._is_mine(credential.principal):
            return False
        return credential.id == self._caller.credential or self._narrowed.covers(credential.narrowed)

    def _require_reach(self, credential: Credential, access: Access) -> None:
        """Raises Forbidden, unless it is in the caller's hands, or the caller manages those of others."""
        if not self._reaches(credential) and not access.allows("credential:manage"):
            raise beyond_credential()

    def _require_narrower(self, narrowed: Narrowing) -> None:
        """Raises Invalid for what is wider than the credential that was sent."""
        for part in self._narrowed.passed_by(narrowed):
            message = "Your own credential is narrowed: give values, each of which is among its own"
            raise Unfit(part, "beyond_issuer", message)

    def _require_wider(self, credential: Credential) -> None:
        """Raises Forbidden, unless the credential that was sent covers this one, for as long as it will last."""
        mine = self._mine().credential
        is_longer = mine.expires_at is not None and _outlives(credential, mine.expires_at)
        if is_longer or not self._narrowed.covers(credential.narrowed):
            raise beyond_credential()

    @property
    def _narrowed(self) -> Narrowing:
        """To what the credential that was sent is narrowed."""
        return self._caller.narrowed or Narrowing()

    @property
    def _my_key(self) -> Key:
        return keys.principal_credential(self._caller.tenant, self._caller.principal, self._caller.credential or "")

    def _mine(self) -> Stored:
        """The credential that was sent, which was read. Raises Conflict for one that has ended since it was let in."""
        row = self._work.item(self._my_key)
        if row is None:
            raise has_ended()
        mine = Stored(to_credential(self._caller.tenant, self._caller.principal, row), row)
        if mine.credential.status(self._work.now) != "active":
            raise has_ended()
        return mine

    def _hold(self, access: Access) -> None:
        """Holds the admin's role, where the request rests on it."""
        access.hold(self._work)

    # ------------------------------------------------------------ making one

    def _judged(self, principal: str, new: NewCredential, mine: Credential) -> Credential:
        """The credential, if it may be made so. Raises Invalid."""
        now = self._work.now
        until = new.expires_at
        if until is not None:
            self._require_to_come(until)
        # One that enrols ends by itself.
        is_longer = not new.enrols if until is None else mine.expires_at is not None and until > mine.expires_at
        if mine.expires_at is not None and is_longer:
            message = f"Your own credential ends at {mine.expires_at}: give an end that is no later"
            raise Unfit("expires_at", "beyond_issuer", message)
        ends = until
        if new.enrols:
            week = timestamp(datetime.fromisoformat(now) + ENROLMENT)
            if until is not None and until > week:
                raise Unfit("expires_at", "beyond_enrolment", "Must be at most seven days from now")
            ends = min(until or week, mine.expires_at or week)
        return Credential(
            id=new_id(),
            tenant=self._caller.tenant,
            principal=principal,
            kind=new.kind,
            name=new.name,
            hint=None,
            narrowed=new.narrowed if new.narrowed != Narrowing() else None,
            issued_by=Issuer(self._caller.principal, mine.id),
            created_at=now,
            expires_at=ends,
            revoked_at=None,
            enrols=new.enrols,
            whole_until=mine.expires_at if new.enrols else None,
        )

    def _registered(self, new: NewCredential) -> dict[str, str]:
        """The digest of an identity whose token was sent, with its names. Raises Invalid and Duplicate."""
        identity = new.proved()
        if identity is None:
            raise Unfit("token", "access_token", "Must be a valid access token of the identity")
        hashed = identity_digest(*identity)
        self._work.read(keys.credential(hashed))
        if self._work.item(keys.credential(hashed)) is not None:
            raise Duplicate("The identity is registered already.", Code.IDENTITY_REGISTERED)
        return {"given": hashed, "issuer": identity.issuer, "subject": identity.subject}

    def _require_to_come(self, moment: str) -> None:
        if moment <= self._work.now:
            raise Unfit("expires_at", "past", "Must be to come")

    def _count(self, principal: str) -> None:
        """Counts the event on the holder, which is there and as it was read: its limit of credentials rests on that."""
        key = keys.principal(self._caller.tenant, principal)
        count(self._work, key)
        as_read = "#sequence = :seen_sequence AND attribute_not_exists(#deleted_at)"
        self._work.check(key, as_read, seen_sequence=self._item(principal)["sequence"])

    # ------------------------------------------------------------ ending several

    def _descendants(self, issued: Sequence[Item]) -> Sequence[Stored]:
        """The credentials that one made, by these rows, and those that they made, as far as they are not revoked.
        Raises Conflict."""
        living, examined, tenant = [], 0, self._caller.tenant
        while issued:
            places = [_made(row) for row in issued]
            examined += len(places)
            if examined > MAX_ISSUED:
                message = f"It made more than {MAX_ISSUED} credentials. Revoke some first, with what they made."
                raise Conflict(message, Code.TOO_MANY_ISSUED)
            wanted = [keys.principal_credential(tenant, *place) for place in places]
            below = [_issued(key.pk, made) for key, (_, made) in zip(wanted, places, strict=True)]
            holders = (keys.principal(tenant, holder) for holder, _ in places)
            issued = [row for rows in self._work.read(*wanted, *holders, ranges=below) for row in rows]
            found = zip(places, map(self._work.item, wanted), strict=True)
            level = [Stored(to_credential(tenant, holder, row), row) for (holder, _), row in found if row is not None]
            living += [each for each in level if each.credential.revoked_at is None]
        return living

    def _end_earlier(self, found: Stored, moment: str | None, **changes: Any) -> Credential:
        """Writes a credential with these changes, so that it ends at the moment or before; its digests were read."""
        before = found.credential
        if moment is not None:
            changes["expires_at"] = min(moment, before.expires_at or moment)
            changes |= {"whole_until": min(moment, before.whole_until or moment)} if before.enrols else {}
            for hashed in found.digests:
                secret = self._work.item(keys.credential(hashed))
                if secret is not None and secret["id"] == before.id:
                    ends = min(moment, secret.get("expires_at", moment))
                    when = "attribute_exists(#pk) AND attribute_not_exists(#revoked_at)"
                    self._work.update(keys.credential(hashed), "SET #expires_at = :ends", when, ends=ends)
        after = replace(before, version=before.version + 1, **changes)
        self._keyring.rewrite(found, after)
        shown = [name for name in ("name", "expires_at") if getattr(after, name) != getattr(before, name)]
        self._keyring.tell("credential.updated", after, shown)
        return after

    def _count_all(self) -> None:
        for root in list(self._work.events):
            count(self._work, root)

    # ------------------------------------------------------------ what was read

    def _item(self, principal: str) -> Item:
        found = self._work.item(keys.principal(self._caller.tenant, principal))
        if found is None:
            raise NotFound("Principal not found.", Code.PRINCIPAL_NOT_FOUND)
        return found

    def _read_secrets(self, *found: Stored) -> None:
        wanted = [keys.credential(hashed) for each in found for hashed in each.digests]
        if wanted:
            self._work.read(*wanted)

    def _held(self, found: Stored) -> Held:
        secrets = map(self._work.item, map(keys.credential, found.digests))
        own = (secret for secret in secrets if secret is not None and secret["id"] == found.credential.id)
        uses = [secret["last_used"] for secret in own if "last_used" in secret]
        return Held(found.credential, max(uses, default=None), found.credential.status(self._work.now))


def to_live(row: Item, now: str) -> bool:
    """Whether a row of a credential, or what was read of it, is of one that has not ended."""
    return "revoked_at" not in row and ("expires_at" not in row or row["expires_at"] > now)


def _until(credential: Credential) -> str | None:
    """When it ends at the latest: one that enrols, once it is whole."""
    return credential.whole_until if credential.enrols else credential.expires_at


def _outlives(credential: Credential, moment: str) -> bool:
    until = _until(credential)
    return until is None or until > moment


def _issued(pk: str, credential: str) -> Range:
    """The rows of what a credential made: one more than may be revoked together."""
    return starting_with(pk, keys.issued_by(credential), None, MAX_ISSUED + 1)


def _made(row: Item) -> tuple[str, str]:
    """The principal and the id of a credential that another one made, by its row there."""
    _, _, holder, made = row["sk"].split("#")
    return holder, made
