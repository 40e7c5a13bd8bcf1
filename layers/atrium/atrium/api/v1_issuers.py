"""The maker of a credential, as credentials and events show it."""

from typing import Annotated

from pydantic import Field

from atrium.api.views import View


class IssuerView(View):
    """The credential that made another one."""

    principal_id: Annotated[str, Field(description="The principal that made it.")]
    credential_id: Annotated[str, Field(description="The credential that this principal sent.")]
