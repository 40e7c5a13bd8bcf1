"""What schemathesis has to know to make requests that the schemas allow and Atrium takes: rules that JSON Schema has no
words for.
"""

import re
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

from atrium.api.paging import cursor_behind
from atrium.documents import is_text
from atrium.text import MAX_NAME, name_problem

# What becomes a cursor once its list is known; a key is good for one request.
POSITION = re.compile(r"position-([0-9a-f]{24})")
schemathesis.openapi.format("cursor", st.binary(min_size=12, max_size=12).map(lambda raw: f"position-{raw.hex()}"))
schemathesis.openapi.format("entity-tags", st.sampled_from(["*", '"v-1"', '"f-2"', '"v-1", "f-1-0"', '"99"']))
schemathesis.openapi.format("idempotency-key", st.builds(lambda: str(uuid4())))


def _is_document(value: Any) -> bool:
    """Whether a document holds no control characters and no number beyond DynamoDB's, at any depth; and no text that
    might not be a name, wherever it stands."""
    match value:
        case str():
            return is_text(value) and (value == "" or name_problem(value[:MAX_NAME]) is None)
        case dict():
            return all(is_text(key) and _is_document(item) for key, item in value.items())
        case list():
            return all(map(_is_document, value))
        case float():
            return value == 0 or 1e-130 <= abs(value) < 1e126
        case _:
            return True


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """A cursor is bound to its list: to the path and the filters."""
    query = case.query or {}
    found = POSITION.fullmatch(str(query.get("cursor")))
    if found:
        filters = sorted(
            (name, sorted(map(str, value)) if isinstance(value, list) else value)
            for name, value in query.items()
            if name not in ("limit", "cursor")
        )
        listed = f"{case.formatted_path}?{urlencode(filters, doseq=True)}"
        case.query = {**query, "cursor": cursor_behind(found[1], listed)}
    return case


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    return case.meta.generation.mode.is_negative or _is_document(case.body)
