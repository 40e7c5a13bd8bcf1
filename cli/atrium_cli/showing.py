"""All that commands print: tables for people, JSON for programs, errors and notes on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from atrium_cli.fields import ROLES

_ROLE_NAMES = {id: name for name, id in ROLES.items()}

# ---------------------------------------------------------------- values


def _role(id: str) -> str:
    return _ROLE_NAMES.get(id, id)


def _plain(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return "\n".join(_plain(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _narrowing(value: Sequence[str] | None) -> str:
    """No narrowing is much more than a narrowing to nothing."""
    return "all" if value is None else "\n".join(value) or "none"


def _end(value: str | None) -> str:
    return value or "never"


def _named(value: Any) -> str:
    """The fields of an object, one on each line."""
    if not isinstance(value, Mapping):
        return _plain(value)
    return "\n".join(f"{name} {' '.join(_told(name, item).split())}" for name, item in value.items())


def _spaces(value: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{each['space_id']}  {each['role']}, {each['name']}" for each in value) or "-"


# How the fields of one thing are told, where it is not plainly.
_TOLD: Mapping[str, Callable[[Any], str]] = {
    "role_id": _role,
    "permissions": _narrowing,
    "space_ids": _narrowing,
    "project_ids": _narrowing,
    "expires_at": _end,
    "last_used_at": _end,
    "issued_by": _named,
    "actor": _named,
    "credential": _named,
    "spaces": _spaces,
    "resource": lambda value: json.dumps(value, ensure_ascii=False, indent=1),
}


def _told(name: str, value: Any) -> str:
    return _TOLD.get(name, _plain)(value)


# ---------------------------------------------------------------- lists

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    head: str
    cell: Callable[[Item], str]
    # Ids and moments are not broken.
    whole: bool = False


def _field(name: str, *, whole: bool = False) -> Column:
    return Column(name, lambda item: _told(name, item[name]), whole)


def _lines(first: str, *others: str) -> str:
    return "\n  ".join((first, *others))


def _stacked(*names: str) -> Column:
    """Several fields in one cell: an id takes half of a terminal's line."""
    return Column(", ".join(names), lambda item: _lines(*(item[name] for name in names if item[name])), True)


def _moment(name: str) -> Column:
    """To the second."""
    return Column(name, lambda item: f"{item[name][:19]}Z" if item[name] else "never", True)


def _about(event: Item) -> str:
    """The kind and the id of what an event is about, who did it, and with which credential. A name would cost a request
    for each id."""
    kind = event["type"].partition(".")[0]
    resource = event["resource"] or {}
    id = resource.get("id") or resource.get("principal_id") or event.get("principal_id") or "-"
    actor = event["actor"]
    by = f"by {actor['kind']} {actor['principal_id'] or ''}".rstrip()
    return _lines(f"{kind} {id}", by, *([f"with {actor['credential_id']}"] if actor["credential_id"] else []))


def _attempts(delivery: Item) -> str:
    """How the last attempt ended, and when the next one is."""
    next = delivery["next_attempt_at"]
    last = delivery["last_status"] or delivery["last_error"] or "-"
    return _lines(str(last), f"{next[:19]}Z" if next else "-")


SPACES = (_stacked("id", "name"), _field("description"))
SPACE_MEMBERS = (
    _field("principal_id", whole=True),
    Column("role", lambda item: _role(item["role_id"])),
    _moment("created_at"),
)
MEMBERS = SPACE_MEMBERS
PRINCIPALS = (_stacked("id", "name", "email"), _field("kind"), _field("status"), _field("tenant_role"))
PRINCIPAL_PROJECTS = (
    Column("project_id, space_id", lambda item: _lines(item["project_id"], item["space_id"]), True),
    Column("name", lambda item: item["name"]),
    Column("role", lambda item: _role(item["role_id"]) + (", named manager" if item["is_manager"] else "")),
)
CREDENTIALS = (_stacked("id", "name"), _field("kind"), _field("status"), _moment("expires_at"))
WEBHOOKS = (
    # Not whole: a URL may be longer than a line.
    Column("id, url", lambda item: _lines(item["id"], item["url"])),
    _field("status"),
    _field("health"),
)
DELIVERIES = (
    _stacked("event_id", "type"),
    Column("status, attempts", lambda item: _lines(item["status"], str(item["attempts"])), True),
    Column("last, next", _attempts, True),
)
PROJECTS = (_stacked("id", "name"), _field("status"), _moment("updated_at"))
EVENTS = (
    Column("time, type", lambda event: _lines(f"{event['time'][:19]}Z", event["type"]), True),
    Column("about, by, with credential", _about, True),
)

# ---------------------------------------------------------------- printing


def fit_for_a_terminal(text: str) -> str:
    """Without controls, which could move the cursor or change colours."""
    return "".join(char if char in "\n\t" or char.isprintable() else "�" for char in text)


def out(text: str) -> None:
    print(text, flush=True)


def note(text: str) -> None:
    """Prints on stderr, where a script does not take it for data."""
    print(fit_for_a_terminal(text), file=sys.stderr, flush=True)


def _emphasis() -> str:
    """The only style there is, on a terminal."""
    return "" if os.environ.get("NO_COLOR") else "bold"


def one(item: Item, etag: str | None = None) -> None:
    """One thing, a field on each line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style=_emphasis())
    table.add_column(overflow="fold")
    for name, value in item.items():
        table.add_row(name, _text(_told(name, value)))
    if etag:
        table.add_row("ETag", _text(etag))
    _print(table)


def many(items: Iterable[Item], columns: Sequence[Column], *, header: bool = True) -> None:
    table = Table(box=None, show_header=header, pad_edge=False, padding=(0, 2, 0, 0), header_style=_emphasis())
    for column in columns:
        table.add_column(column.head, no_wrap=column.whole, overflow="fold")
    for item in items:
        table.add_row(*(_text(column.cell(item)) for column in columns))
    _print(table)


def _text(text: str) -> Text:
    """As it is: names may look like rich's markup."""
    return Text(fit_for_a_terminal(text))


def _print(table: Table) -> None:
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(table)
    out("\n".join(line.rstrip() for line in capture.get().rstrip().splitlines()))
