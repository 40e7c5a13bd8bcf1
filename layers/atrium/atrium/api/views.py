"""The bodies of requests and answers: inputs, which a route takes, and views, which it returns.

answer.py turns a view into the status, the headers and the bytes of the answer.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from atrium import documents
from atrium.api.room import Room
from atrium.models import Page

# A page ends at this many items that are cut, each with a link: API Gateway takes 10 KB of headers, many clients less.
MAX_CUT = 10

ViewT = TypeVar("ViewT", bound="View")


class Model(BaseModel):
    """The body of a request or of an answer. Models are built lazily, so a cold start pays only for its own route."""

    model_config = ConfigDict(defer_build=True)


class Input(Model):
    """The body of a request."""

    def given(self) -> dict[str, Any]:
        """The fields that the client sent, by the domain's names."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def with_defaults(self) -> dict[str, Any]:
        """All fields by the domain's names, those that the client left out with their defaults."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class View(Model):
    """The body of an answer, with the version for its ETag and the lists that go on behind it for its Link."""

    # The field whose value is the last part of the view's address.
    addressed_by: ClassVar[str] = "id"
    # Where the lists are that the view shows parts of: below its own address, or beside it.
    lists_beside: ClassVar[bool] = False

    _version: int | str | None = PrivateAttr(default=None)
    _continued: dict[str, str | None] = PrivateAttr(default_factory=dict)

    def at_version(self, version: int | str) -> Self:
        """The view, with the version for its ETag: a number, or hex digits and hyphens."""
        self._version = version
        return self

    @property
    def version(self) -> int | str | None:
        return self._version

    def continued_at(self, name: str, after: str | None) -> Self:
        """The view, which shows the beginning of the list `name`. The rest starts behind the item with the id `after`;
        None if the view shows no item of it."""
        self._continued[name] = after
        return self

    @property
    def continued(self) -> dict[str, str | None]:
        """By the name of a list, the id of the last item that is shown."""
        return self._continued

    def text(self) -> documents.Raw:
        """The view as JSON. Parts of it may be JSON text already."""
        return documents.Raw(documents.render(self.model_dump(by_alias=True, warnings=False)))


class Confirmation(View):
    """An answer that says what was done and shows no data."""

    message: str


class Listing(list[ViewT]):
    """A page of a list: as many items of the given pages as an answer holds, each as JSON text. It is an answer by
    itself, a bare array, or the `data` of a PageView.

    `after` is the id behind which the next page starts, None on the last page. `cut` has the items that are continued:
    by the item's id, its `View.continued`.
    """

    def __init__(self, show: Callable[[Any], ViewT], pages: Iterable[Page[Any]]) -> None:
        super().__init__()
        self.after: str | None = None
        self.cut: dict[str, dict[str, str | None]] = {}
        self._fill(show, pages, Room())

    def _fill(self, show: Callable[[Any], ViewT], pages: Iterable[Page[Any]], room: Room) -> None:
        for page in pages:
            for item in page.items:
                view = show(item)
                text: Any = view.text()
                if (view.continued and len(self.cut) == MAX_CUT) or not room.take(text):
                    return
                self.append(text)
                self.after = item.id
                if view.continued:
                    self.cut[item.id] = view.continued
            self.after = page.after


class PageView(View):
    """A page of a list as an object, with a Listing as its `data`."""

    data: list[Any]

    @property
    def after(self) -> str | None:
        """The id behind which the next page starts, None on the last page."""
        after: str | None = vars(self)["data"].after
        return after

    @abstractmethod
    def show_cursor(self, cursor: str | None) -> None:
        """Sets the cursor of the next page, None on the last page. Called when the answer is made: a cursor belongs to
        the address of its list, which a view does not know."""
