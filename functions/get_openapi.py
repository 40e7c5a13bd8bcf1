"""Get this document.

`HEAD` too.
"""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from atrium.api.headers import api_url
from atrium.api.pages import lambda_page

# The route, which asks for no credential.
PUBLIC = "GET /openapi.json"

document = Path(__file__).with_name("openapi.json").read_text()


# A stage has one address, and at most a domain of its own beside it.
@lru_cache(maxsize=4)
def page(url: str) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    return lambda_page("application/json", document.replace('"url": "."', f'"url": {json.dumps(url)}', 1))


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    return page(api_url(event))(event, context)
