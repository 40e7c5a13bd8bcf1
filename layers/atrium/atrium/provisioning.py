"""What a provisioning request may ask for. Provisioning has no URL: whoever may invoke the function may create
tenants.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from atrium.ids import from_uuid
from atrium.text import MAX_EMAIL, Name

# The name by which a request refers to the tenant's default space.
DEFAULT_SPACE = "default"

_Uuid = Annotated[str, AfterValidator(from_uuid)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewTenant(_Strict):
    name: Name


class NewSpace(_Strict):
    name: Name


class NewCredential(_Strict):
    """`sha256` is the hex digest of a secret that the caller has made in the form of atrium.credentials; without it the
    secret is made here and returned once."""

    kind: Literal["token", "key"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    expires_at: AwareDatetime | None = None


class NewPrincipal(_Strict):
    """`roles` maps a space to a role: `default`, the name of a space of this request, or the UUID of an existing
    one.
    """

    name: Name
    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=MAX_EMAIL)]
    kind: Literal["user", "service"] = "user"
    roles: Annotated[dict[str, Literal["viewer", "contributor", "manager", "owner"]], Field(max_length=100)] = {}
    credentials: list[NewCredential] = []


class Provisioning(_Strict):
    """One request. Exactly one of `tenant` (a new one) and `tenant_id` (an existing one) is given."""

    request_token: Annotated[str, Field(pattern="^[\x21-\x7e]{1,255}$")]
    tenant: NewTenant | None = None
    tenant_id: _Uuid | None = None
    spaces: list[NewSpace] = []
    principals: list[NewPrincipal] = []
