"""Addresses of this API: the Location of what was made, and the Links to what comes next (RFC 8288).

A resource is the path of a route, such as `/projects/{id}`; its address has values in the place of the parameters.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from atrium.api.headers import api_url
from atrium.api.paging import cursor_behind
from atrium.api.views import Listing, View


def filled(resource: str, values: Mapping[str, str]) -> str:
    """The path of a resource with these values, percent-encoded, in the place of its parameters."""
    for name, value in values.items():
        resource = resource.replace(f"{{{name}}}", quote(value, safe="", errors="replace"))
    return resource


def address(event: Mapping[str, Any], resource: str, ids: Mapping[str, str]) -> str:
    """The absolute URL of a resource with these ids."""
    return api_url(event) + filled(resource, ids)


def location(event: Mapping[str, Any], id: str) -> str:
    """The URL of an item that a request to its list has made."""
    return address(event, event["resource"] + "/{made}", {**_ids(event), "made": id})


# The parameters of a query, each with the values that count.
Query = Mapping[str, Sequence[str]]


def listed(resource: str, ids: Mapping[str, str], query: Query) -> str:
    """The list to which a cursor is bound: its path and filters in any order, but not the length of its pages."""
    filters = sorted((name, sorted(values)) for name, values in query.items() if name not in ("limit", "cursor"))
    return f"{filled(resource, ids)}?{urlencode(filters, doseq=True, errors='replace')}"


def links_of_list(listing: Listing[Any], event: Mapping[str, Any], query: Query) -> list[str]:
    """The Links of a page: to the next page, and for each item that is cut, to the rest of its lists."""
    ids = _ids(event)
    links = []
    if listing.after is not None:
        links.append(f'<{_page(event, event["resource"], ids, listing.after, query)}>; rel="next"')
    item = f"{event['resource']}/{{item}}"
    for id, lists in listing.cut.items():
        anchor = address(event, item, {**ids, "item": id})
        for name, after in lists.items():
            url = _page(event, f"{item}/{name}", {**ids, "item": id}, after, {})
            links.append(f'<{url}>; rel="next"; title="{name}"; anchor="{anchor}"')
    return links


def links_of_view(view: View, event: Mapping[str, Any]) -> list[str]:
    """The Links of a view, to the rest of its lists."""
    above = event["resource"]
    if view.lists_beside:
        above = above.rpartition("/")[0]
    pages = {name: _page(event, f"{above}/{name}", _ids(event), after, {}) for name, after in view.continued.items()}
    return [f'<{url}>; rel="next"; title="{name}"' for name, url in pages.items()]


def _page(event: Mapping[str, Any], resource: str, ids: Mapping[str, str], after: str | None, query: Query) -> str:
    """The URL of the page of a list with these parameters that starts behind the item with the id `after`."""
    if after is not None:
        query = {**query, "cursor": [cursor_behind(after, listed(resource, ids, query))]}
    url = address(event, resource, ids)
    return f"{url}?{urlencode(query, doseq=True)}" if query else url


def _ids(event: Mapping[str, Any]) -> Mapping[str, str]:
    return event.get("pathParameters") or {}
