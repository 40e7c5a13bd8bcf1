"""The facts that a route's file declares beside its method, path and docstring.

No request reads them: `make generate` does, and writes from them the function blocks of template.yaml, the OpenAPI
document and the tables in README and docs/permissions.md.
"""

from typing import Required, TypedDict


class Facts(TypedDict, total=False):
    # The permission whose lack the route answers with 403, None if every caller with a valid credential may.
    permission: Required[str | None]
    # The role in template.yaml that the function runs under, without the word Role: `Write` is WriteRole.
    access: Required[str]
    # Who may, in words, where the permission alone does not say it.
    who: str
    # MB of memory, where the default in template.yaml is not enough.
    memory: int
    # False for a write on a resource whose version no answer shows: clients have nothing to send as If-Match.
    versioned: bool
    # True for a route that finds, makes or ends the rows by which credentials are found.
    credentials: bool
    # True for a route that takes a credential which enrols a person. Each other one refuses it.
    enrols: bool
    # Statuses that the route may answer beside those that follow from its method and path.
    refusals: tuple[int, ...]
