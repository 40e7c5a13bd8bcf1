"""GET /docs"""

from pathlib import Path

from atrium.api.pages import lambda_page, reference

page, policy = reference(Path(__file__).with_name("docs"))

handler = lambda_page("text/html; charset=utf-8", page, policy)
