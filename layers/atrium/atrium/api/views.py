"""The bodies of requests and answers: inputs, which a route takes, and views, which it returns.

answer.py turns a view into the status, the headers and the bytes of the answer.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr

from atrium import documents
from atrium.api.room import Room
from atrium.models import Page

# A page ends before it has more items than this with continued lists: each needs a Link, and API Gateway takes 10 KB of
# headers, many clients less.
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
    """The body of an answer, with the version for its ETag and the lists for its Link that it shows only in part."""

    # The field whose value is the last part of the view's address.
    addressed_by: ClassVar[str] = "id"
    # Whether the lists that the view shows in part are beside its own address, not below it.
    lists_beside: ClassVar[bool] = False

    _version: int | str | None = PrivateAttr(default=None)
    # Pydantic copies the default. It would read the signature of a factory anew for each view, which takes some 30 µs.
    _continued: Mapping[str, str | None] = PrivateAttr(default={})
    _once: Mapping[str, str] = PrivateAttr(default={})

    @classmethod
    def show(
        cls,
        fields: Mapping[str, Any],
        *,
        version: int | str | None = None,
        continued: Mapping[str, str | None] = MappingProxyType({}),
        once: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """A view of these values, which are not validated. See the properties for `version`, `continued` and
        `once`."""
        view = cls.model_construct(**fields)
        view._version = version
        view._continued = continued
        view._once = once
        return view

    @property
    def version(self) -> int | str | None:
        """The version for the ETag, a number or hex digits and hyphens; None for a view without an ETag."""
        return self._version

    @property
    def continued(self) -> Mapping[str, str | None]:
        """The lists of which the view shows only the beginning: by a list's name, the id of the last item that is
        shown, None if no item is."""
        return self._continued

    @property
    def once(self) -> Mapping[str, str]:
        """Fields with their values in the first answer; `text` and each replay have null in their place."""
        return self._once

    def text(self) -> documents.Raw:
        """The view as JSON. Parts of it may be JSON text already."""
        return documents.Raw(documents.render(self.model_dump(by_alias=True, warnings=False)))


class Confirmation(View):
    """An answer that says what was done and shows no data."""

    message: str


class Listing(list[ViewT]):
    """A page of a list: as many items of the given pages as an answer holds, each as JSON text. It is an answer by
    itself, a bare array, or the `data` of a PageView.

    `after` is the id behind which the next page starts, None on the last page. `cut` has `View.continued` of each item
    that has continued lists, by the item's id.
    """

    def __init__(self, show: Callable[[Any], ViewT], pages: Iterable[Page[Any]]) -> None:
        super().__init__()
        self.after: str | None = None
        self.cut: dict[str, Mapping[str, str | None]] = {}
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
