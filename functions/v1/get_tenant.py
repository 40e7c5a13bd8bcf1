"""Get the tenant.

That of the caller.
"""

from atrium.api.v1_spaces import Tenancy, TenantView, lambda_handler, v1_api

api = v1_api(permission=None, access="Get")


@api.get("/v1/tenant")
def get_tenant(tenancy: Tenancy) -> TenantView:
    return TenantView.of(tenancy.get())


handler = lambda_handler(api)
