"""Bearer token or API key -> policy and caller. Runs before every route."""

from atrium.api.authorizer import lambda_authorizer

handler = lambda_authorizer()
