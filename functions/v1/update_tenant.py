"""Update the tenant.

Its name. The default space keeps a name of its own.
"""

from atrium.api.v1_spaces import Tenancy, TenantChange, TenantView, lambda_handler, v1_api

api = v1_api(permission="tenant:update", access="Write")


@api.patch("/v1/tenant")
def update_tenant(change: TenantChange, tenancy: Tenancy) -> TenantView:
    return TenantView.of(tenancy.update(change.given()))


handler = lambda_handler(api)
