"""Read this document.

In a browser, where it can be tried out. `HEAD` too.
"""

from pathlib import Path

from atrium.api.pages import lambda_page, reference

# The route, which asks for no credential.
PUBLIC = "GET /docs"

page, policy = reference(Path(__file__).with_name("docs"))

handler = lambda_page("text/html; charset=utf-8", page, policy)
