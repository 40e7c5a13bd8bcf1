"""The routes that are deployed, as the template says."""

import json
import re
from typing import Any

from local.template import Template
from tools.openapi import DOCUMENT
from tools.routes import Route

# The OpenAPI document that is committed.
COMMITTED: Any = json.loads(DOCUMENT.read_text())


def routes(template: Template, *, public: bool = False) -> dict[str, tuple[str, str]]:
    """Method and path of each function behind a URL, from the document that API Gateway imports: of those that ask for
    a credential, or of the public ones that do not. HEAD is no route of its own."""
    found = {}
    for path, operations in template.api["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            is_route = integration["type"] == "aws_proxy" and method != "head"
            if is_route and (operation.get("security") == [{"NONE": []}]) == public:
                name = re.search(r"function:(\w+)/invocations", integration["uri"])
                assert name is not None
                found[name[1]] = (method.upper(), path)
    return found


def operation(route: Route) -> Any:
    """What the committed document says of a route."""
    try:
        return COMMITTED["paths"][route.path][route.method.lower()]
    except KeyError:
        raise LookupError(f"{DOCUMENT.name} does not have {route.method} {route.path}: make generate") from None


def takes_a_cursor(route: Route) -> bool:
    """Whether a route answers a list in pages."""
    return any(parameter.get("name") == "cursor" for parameter in operation(route).get("parameters", []))
