"""Public pages: texts that are the same for every client, with or without a credential.

They need no table, and import no module that does.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from atrium.api.headers import is_known
from atrium.settings import settings

# The folder of the Swagger UI in Powertools. It is looked up, since importing the package takes longer than all else.
_SWAGGER_UI = "event_handler/openapi/swagger_ui"

_SECURITY = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def lambda_page(
    content_type: str, text: str, policy: str = "default-src 'none'"
) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """The handler of a page, for GET and HEAD. Browsers cache the page and revalidate it each time. `policy` is its
    content security policy."""
    etag = f'"{sha256(text.encode()).hexdigest()[:32]}"'

    def handler(event: Mapping[str, Any], _: Any) -> dict[str, Any]:
        fresh = not is_known(event, etag)
        headers = {
            **({"Content-Type": content_type} if fresh else {}),
            **_SECURITY,
            "Content-Security-Policy": f"{policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "Cache-Control": "no-cache",
            "ETag": etag,
            "X-Request-Id": event["requestContext"]["requestId"],
            "Access-Control-Allow-Origin": settings().cors_origin,
            "Access-Control-Expose-Headers": "ETag, X-Request-Id",
        }
        return {
            "statusCode": 200 if fresh else 304,
            "body": text if fresh and event["httpMethod"] != "HEAD" else "",
            "isBase64Encoded": False,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
        }

    return handler


def reference(folder: Path) -> tuple[str, str]:
    """The interactive reference as one page, made of page.html, page.css and page.js of a folder and of Swagger UI; and
    its content security policy, which allows these scripts only, and connections to the same origin only."""
    powertools = find_spec("aws_lambda_powertools")
    if powertools is None or powertools.origin is None:
        raise FileNotFoundError(_SWAGGER_UI)
    swagger_ui = Path(powertools.origin).parent / _SWAGGER_UI
    parts = {
        "swagger-ui.css": (swagger_ui / "swagger-ui.min.css").read_text(),
        "page.css": (folder / "page.css").read_text(),
        "swagger-ui.js": (swagger_ui / "swagger-ui-bundle.min.js").read_text(),
        "page.js": (folder / "page.js").read_text(),
    }
    page = re.sub(r"/\* (\S+) \*/", lambda found: parts[found[1]], (folder / "page.html").read_text())
    hashes = [b64encode(sha256(text.encode()).digest()).decode() for name, text in parts.items() if name.endswith("js")]
    scripts = " ".join(f"'sha256-{each}'" for each in hashes)
    # Swagger UI sets styles on its elements and shows pictures that it carries.
    return (
        page,
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'",
    )
