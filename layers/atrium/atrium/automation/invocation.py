"""An invocation without HTTP: the event parsed into a request, and refusals told to the invoker."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atrium import documents
from atrium.errors import Detail, Invalid, KeyReused, Refusal, Unavailable, Unfit
from atrium.store.engine.work import Outcome, Work

M = TypeVar("M", bound=BaseModel)

Handler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


# The names of fields that differ from the domain's.
_SPELLED = {"principal": "principal_id"}


class Refused(Exception):
    """A refusal as the invoker sees it: Lambda's errorType is the class, its errorMessage says what to correct."""


@contextmanager
def refusals_told() -> Iterator[None]:
    """Raises Refused in the place of a Refusal that is raised inside, but for Unavailable: it has an errorType of its
    own, by which an invoker knows that the same event may succeed later."""
    try:
        yield
    except Unavailable:
        raise
    except Unfit as refusal:
        raise Refused(f"body.{_SPELLED.get(refusal.field, refusal.field)}: {refusal.message}") from None
    except Invalid as refusal:
        found = "; ".join(f"{'.'.join(map(str, item.loc))}: {item.msg}" for item in refusal.details)
        raise Refused(found) from None
    except Refusal as refusal:
        raise Refused(refusal.message) from None


def parsed(model: type[M], event: Any) -> M:
    """The event as a request of this model. Raises Invalid, without the input in it."""
    try:
        return model.model_validate(event)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise Invalid(*(Detail(item["loc"], item["msg"], item["type"]) for item in found)) from None


def committed(work: Work, key: str, status: int, make: Callable[[], Any]) -> Outcome:
    """Commits what `make` writes, with the value that it returns as the answer's body, in JSON. `key` is the field of
    the event that names the request. Raises Invalid, also when another request had the same name, and what `make`
    raises.
    """
    try:
        return work.run(
            lambda: Outcome({"status": status, "body": documents.render(make()), "headers": {}}, confirms=True)
        )
    except KeyReused as refusal:
        message = f"This {key} was used for another request. Send a new one."
        raise Invalid(Detail(("event", key), message, refusal.code.word)) from None
