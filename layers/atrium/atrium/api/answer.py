"""The answer of a route: status, headers and body, made of the view that the route returns."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from aws_lambda_powertools.event_handler import Response

from atrium import documents
from atrium.api.links import links_of_list, links_of_view, listed, location
from atrium.api.paging import cursor_behind
from atrium.api.request import query_of
from atrium.api.views import Confirmation, Listing, PageView, View
from atrium.store.engine.work import Outcome


class Answer(NamedTuple):
    """A status, the body's very text ("" for none) and the headers that belong to it. A replay repeats all three."""

    status: int
    body: str
    headers: dict[str, str]


def outcome(response: Response[Any], event: Mapping[str, Any], tags: str, declared: Mapping[str, bool]) -> Outcome:
    """The outcome of an event, with its Answer. `tags` is the dialect's prefix of ETags, `declared` the query
    parameters of the route."""
    view = response.body
    headers: dict[str, str] = {}
    body = ""
    once: Mapping[str, str] = {}
    if isinstance(view, Listing):
        if links := links_of_list(view, event, query_of(event, declared)):
            headers["Link"] = ", ".join(links)
        body = documents.render(list(view))
    elif isinstance(view, View):
        if view.version is not None:
            headers["ETag"] = f'"{tags}-{view.version}"'
        if response.status_code == HTTPStatus.CREATED:
            headers["Location"] = location(event, getattr(view, view.addressed_by))
        if links := links_of_view(view, event):
            headers["Link"] = ", ".join(links)
        if isinstance(view, PageView):
            of_list = listed(event["resource"], event.get("pathParameters") or {}, query_of(event, declared))
            view.show_cursor(cursor_behind(view.after, of_list) if view.after is not None else None)
        body, once = view.text(), view.once
    answer = Answer(response.status_code, body, headers)
    return Outcome(answer._asdict(), confirms=view is None or isinstance(view, Confirmation), once=once)


def proxy_answer(response: Response[str]) -> dict[str, Any]:
    """The answer as API Gateway's proxy integration takes it."""
    return {
        "statusCode": response.status_code,
        "body": response.body,
        "isBase64Encoded": False,
        "multiValueHeaders": {name: [str(value)] for name, value in response.headers.items()},
    }
