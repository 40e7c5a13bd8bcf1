"""The credentials of principals: those that callers make for themselves, and admins for services and for users.

Requests here are sent with the demo's own tokens, which are not narrowed and do not end, and never with a credential
that was made here. So none of these was used, none made another one, and a narrowing is a value that is shown again;
tests/routes/credentials sends requests with them. No identity is made: that takes an issuer of access tokens.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.model.answers import (
    CREDENTIAL_ENDED,
    NOT_CREDENTIALS,
    NOT_TO_MAKE,
    NOT_TO_ROTATE,
    TOO_MANY_CREDENTIALS,
    Expected,
    invalid,
    not_found,
    require,
)
from tests.model.principals import Principals
from tests.model.state import AnyUse, Credential, Hint, Moment, Person, Secret, earlier
from tests.support.client import v1_id

NARROWING = ("permissions", "space_ids", "project_ids")
MAX_LIVE = 50
ENROLMENT = timedelta(days=7)
OVERLAP = 86_400


class Credentials(Principals):
    def list_credentials(self) -> Expected:
        held = self._holder().credentials
        page, more = self._page(held, 20)
        return self._listed([self._credential(held[id]) for id in page], more)

    def get_credential(self) -> Expected:
        return self._shown_credential(self._the_credential()[1])

    def create_credential(self) -> Expected:
        holder, fields = self._holder(), self.body
        enrols = fields.get("enrol", False)
        require(holder is self.me or holder.kind == "service" or enrols, NOT_TO_MAKE)
        self._replay()
        ends = fields.get("expires_at")
        until = Moment.at(ends) if ends else None
        self._require_to_come(until)
        if enrols:
            week = self._in(ENROLMENT)
            too_late = invalid("expires_at", "Must be at most seven days from now", "beyond_enrolment")
            require(until is None or until.ended <= week.begun, too_late)
            until = until or week
        self._match_nothing()
        live = [each for each in holder.credentials.values() if each.status(self.now) == "active"]
        require(len(live) < MAX_LIVE, TOO_MANY_CREDENTIALS)
        made = Credential(
            self.fresh,
            fields["kind"],
            fields["name"].strip(),
            {name: fields.get(name) for name in NARROWING},
            {"principal_id": v1_id(self.me.id), "credential_id": v1_id(self.me.sends)},
            self.now,
            until,
            enrols,
        )
        holder.credentials[made.id] = made
        self._commit_on_holder(holder, "credential.created", made)
        return self._shown_credential(made, 201, secret=Secret(made.kind, made.hint))

    def update_credential(self) -> Expected:
        holder, found = self._the_credential()
        self._replay()
        self._match(found.version)
        self.succeeded = True
        changed = []
        name, ends = self.body.get("name", "").strip(), self.body.get("expires_at", "")
        if name and name != found.name:
            changed.append("name")
        if ends and not (found.expires_at and ends == found.expires_at.text):
            changed.append("expires_at")
        if changed:
            self.succeeded = False
            require(found.status(self.now) == "active", CREDENTIAL_ENDED)
            if "expires_at" in changed:
                self._end_earlier(found, Moment.at(ends))
            found.name, found.version = name or found.name, found.version + 1
            self._commit_on_holder(holder, "credential.updated", found, changed)
        return self._shown_credential(found)

    def delete_credential(self) -> Expected:
        """With `issued` no more than without: none of those here made another one."""
        holder, found = self._the_credential()
        self._match(found.version)
        self.succeeded = True
        if not found.is_revoked:
            found.is_revoked, found.version = True, found.version + 1
            self._commit_on_holder(holder, "credential.revoked", found, revoked_at=self.now)
        return Expected(204, confirms=True)

    def rotate_credential(self) -> Expected:
        """Its newest secret was never used. So another one takes its place while the older one is good."""
        holder, found = self._the_credential()
        require(holder is self.me or holder.kind == "service", NOT_TO_ROTATE)
        self._replay()
        self._match(found.version)
        require(found.status(self.now) == "active", CREDENTIAL_ENDED)
        if found.older_ends is None or found.older_ends.is_over(self.now):
            overlap = timedelta(seconds=self.body.get("overlap_seconds", OVERLAP))
            found.older_ends = earlier(self._in(overlap), found.expires_at)
        changed = ["expires_at", "previous_expires_at"]
        if found.enrols:
            found.enrols, found.expires_at = False, found.ends_when_whole
            changed.append("enrol")
        found.hint, found.version = Hint(), found.version + 1
        ends, secret = found.older_ends, Secret(found.kind, found.hint)
        self._commit_on_holder(holder, "credential.rotated", found, changed, previous_expires_at=ends)
        return self._shown_credential(found, previous_expires_at=ends, secret=secret)

    def _holder(self) -> Person:
        require(self.call.item == self.call.by or self.me.is_admin, NOT_CREDENTIALS)
        return self._the_principal()

    def _the_credential(self) -> tuple[Person, Credential]:
        holder = self._holder()
        require(self.call.note in holder.credentials, not_found("Credential"))
        return holder, holder.credentials[self.call.note]

    def _end_earlier(self, found: Credential, end: Moment) -> None:
        self._require_to_come(end)
        before = found.expires_at
        message = f"Must be before {before and before.text}, when it ends now"
        require(before is None or end.ended <= before.begun, invalid("expires_at", message, "not_earlier"))
        found.expires_at = end
        if found.enrols:
            found.ends_when_whole = end
        if found.older_ends:
            found.older_ends = earlier(found.older_ends, end)

    def _require_to_come(self, end: Moment | None) -> None:
        require(end is None or not end.is_over(self.now), invalid("expires_at", "Must be to come", "past"))

    def _commit_on_holder(
        self, holder: Person, type: str, credential: Credential, changed: list[str] | None = None, **moments: Moment
    ) -> None:
        resource = {
            "id": v1_id(credential.id),
            "tenant_id": v1_id(self._tenant_id(holder.tenant)),
            "principal_id": v1_id(holder.id),
            "kind": credential.kind,
            **credential.narrowed,
            "enrol": credential.enrols,
            "created_at": credential.created_at,
            "expires_at": credential.expires_at,
        }
        self._commit_on(holder, type, resource | moments, changed)

    def _shown_credential(self, credential: Credential, status: int = 200, **more: Any) -> Expected:
        return Expected(status, self._credential(credential) | more, etag=self._tag(credential.version))

    def _credential(self, credential: Credential) -> dict[str, Any]:
        return {
            "id": v1_id(credential.id),
            "kind": credential.kind,
            "name": credential.name,
            "hint": credential.hint,
            **credential.narrowed,
            "enrol": credential.enrols,
            "issued_by": credential.issued_by,
            "created_at": credential.created_at,
            "expires_at": credential.expires_at,
            "last_used_at": AnyUse() if credential.is_given else None,
            "status": credential.status(self.now),
        }


OPERATIONS: dict[str, Callable[[Credentials], Expected]] = {
    "V1ListCredentials": Credentials.list_credentials,
    "V1CreateCredential": Credentials.create_credential,
    "V1GetCredential": Credentials.get_credential,
    "V1UpdateCredential": Credentials.update_credential,
    "V1DeleteCredential": Credentials.delete_credential,
    "V1RotateCredential": Credentials.rotate_credential,
}
