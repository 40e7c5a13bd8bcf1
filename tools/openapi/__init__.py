"""The OpenAPI document of the API: document.py puts together what the others say of its parts.

The routes are those of functions/. A route's models say what it takes and answers, and its own resolver makes schemas
of them. What all routes share (headers, refusals) is here, with the words and samples of what many routes show, so no
function pays for them when it starts. What is shown in one file alone has its words and its sample there: the docstring
of the model, `Field(description=…)` and `example`.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from local.template import ROOT
from tools.routes import WrongDeclaration

DOCUMENT = ROOT / "functions" / "openapi.json"

JSON = "application/json"

Json = dict[str, Any]

T = TypeVar("T")


def ref(kind: str, name: str) -> Json:
    """A reference to a component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def entry(table: Mapping[str, T], name: str, where: str) -> T:
    """The row of a table that is written by hand. Raises WrongDeclaration with what to do."""
    if name not in table:
        raise WrongDeclaration(
            f"The OpenAPI document has nothing to say of `{name}`: add a row to {where} (tools/openapi/)."
        )
    return table[name]
