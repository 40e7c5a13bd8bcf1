"""The requests of an operator. They have no URL: IAM decides who may invoke the functions."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from atrium.access_tokens import MAX_NAME, is_name
from atrium.credentials import IDENTITY, identity_digest
from atrium.ids import canonical, from_uuid
from atrium.models import PrincipalKind
from atrium.permissions import Role
from atrium.text import Email, Name, PersonName

T = TypeVar("T")

# The name by which a request refers to the tenant's default space.
DEFAULT_SPACE = "default"

_Uuid = Annotated[str, AfterValidator(from_uuid)]
_Token = Annotated[str, Field(pattern="^[\x21-\x7e]{1,255}$")]
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewTenant(_Strict):
    name: Name


class NewSpace(_Strict):
    name: Name


def _subject(text: str) -> str:
    if not is_name(text):
        raise PydanticCustomError("subject", f"Must have 1 to {MAX_NAME} characters and no control characters")
    return text


class NewCredential(_Strict):
    """A secret, or an identity: the name (`subject`) that an `issuer` of access tokens has for the principal.

    `sha256` is the hex digest of a secret that the caller has made in the form of atrium.credentials; without it the
    secret is made here and returned once.
    """

    kind: Literal["token", "key", "identity"]
    sha256: _Sha256 | None = None
    issuer: Annotated[str, Field(pattern="^https?://[!-~]{1,500}$")] | None = None
    subject: Annotated[str, AfterValidator(_subject)] | None = None
    expires_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        named = self.issuer is not None, self.subject is not None
        if named != (True, True) if self.kind == IDENTITY else any(named):
            raise PydanticCustomError("identity", "An identity has issuer and subject, a secret has neither")
        if self.kind == IDENTITY and self.sha256 is not None:
            raise PydanticCustomError("identity", "An identity has no secret")
        return self

    @property
    def digest(self) -> str | None:
        """The digest under which it is stored; None for a secret that is made later."""
        if self.issuer and self.subject:
            return identity_digest(self.issuer, self.subject)
        return self.sha256


def _role(name: Any) -> Any:
    known = [role.key for role in Role]
    if name not in known:
        *others, last = (f"'{key}'" for key in known)
        raise PydanticCustomError("literal_error", f"Input should be {', '.join(others)} or {last}")
    return name


def _canonical_keys(roles: dict[str, T]) -> dict[str, T]:
    found = {canonical(space): role for space, role in roles.items()}
    if len(found) < len(roles):
        raise PydanticCustomError("roles", "A space stands twice")
    return found


class NewPrincipal(_Strict):
    """`roles` maps a space to a role: `default`, the name of a space of this request, or the UUID of an existing
    one. Without a `tenant_role` the first user of a new tenant is an admin of it, and each other principal a member.
    """

    name: PersonName
    email: Email
    kind: PrincipalKind = "user"
    tenant_role: Literal["admin", "member"] | None = None
    roles: Annotated[
        dict[str, Annotated[str, BeforeValidator(_role)]],
        Field(max_length=100),
        AfterValidator(_canonical_keys),
    ] = {}
    credentials: list[NewCredential] = []


class Provisioning(_Strict):
    """Spaces and principals to create. Exactly one of `tenant` (new) and `tenant_id` (existing) is given."""

    request_token: _Token
    tenant: NewTenant | None = None
    tenant_id: _Uuid | None = None
    spaces: list[NewSpace] = []
    principals: list[NewPrincipal] = []


class Holder(_Strict):
    """The principal that holds the credentials."""

    tenant_id: _Uuid
    principal_id: _Uuid


class Issue(Holder):
    """One more credential for a principal."""

    request_token: _Token
    credential: NewCredential


class Rotation(Holder):
    """A new secret for a credential. The old one ends `overlap_seconds` later; while it is good, another rotation
    replaces a new one that was never used. Without `expires_at` the credential ends when it did."""

    request_token: _Token
    credential_id: _Uuid
    sha256: _Sha256 | None = None
    expires_at: AwareDatetime | None = None
    overlap_seconds: Annotated[int, Field(strict=True, ge=0, le=30 * 86_400)] = 86_400


class Revocation(Holder):
    """The end of a credential, with every secret of it."""

    credential_id: _Uuid
