"""Many projects or records, written without the API."""

import json

from atrium.ids import new_id
from tests.support.client import v1_id
from tests.support.direct import direct


def copies(id: str, count: int) -> None:
    """More of what has the id, made past the API: every row whose key names it, under new ids."""
    table = direct()
    texts = [json.dumps(row) for key, row in table.items().items() if id in key.pk + key.sk]
    table.write(
        [
            json.loads(text.replace(id, new).replace(v1_id(id), v1_id(new)))
            for new in (new_id() for _ in range(count))
            for text in texts
        ]
    )
    table.close()
