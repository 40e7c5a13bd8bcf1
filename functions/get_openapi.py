"""GET /openapi.json"""

from pathlib import Path

from atrium.api.pages import lambda_page

handler = lambda_page("application/json", Path(__file__).with_name("openapi.json").read_text())
