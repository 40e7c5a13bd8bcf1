"""Pages of lists."""

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A page of a list. `after` is the id that the next page starts behind, None on the last page."""

    items: tuple[T, ...]
    after: str | None
