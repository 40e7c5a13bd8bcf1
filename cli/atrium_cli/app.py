"""The command line, made of the table of commands."""

import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any
from urllib.parse import quote

import typer

from atrium_cli import showing
from atrium_cli.client import Answer, Client, Query
from atrium_cli.commands import COMMANDS, GROUPS, Command
from atrium_cli.failures import MEANINGS, Exit, Failure
from atrium_cli.fields import PARAMETERS, Field
from atrium_cli.following import follow
from atrium_cli.login import EXAMPLES, login
from atrium_cli.places import place

# The most that a page may have.
PAGE = 100

# The options that are no fields of requests.
_PROFILE = ("profile", str, typer.Option(help="The profile to use (atrium login); laptop for the one of make run."))
_JSON = ("json", bool, typer.Option("--json", help="Print JSON."))
_LIMIT = ("limit", int, typer.Option(min=1, help="How many entries at most."))
_KEY = ("idempotency_key", str, typer.Option(help="The Idempotency-Key, for a script that may run twice."))
_IF_MATCH = ("if_match", str, typer.Option(help="The ETag that it must have, as show prints it."))
_ONLY = ("only", str, typer.Option(help="Print the value of this field, and nothing else."))
_YES = ("yes", bool, typer.Option("--yes", help="Do not ask, at a terminal, whether it is meant."))
_FOLLOW = ("follow", bool, typer.Option("--follow", help="Print each event once, from now or --since on."))


def _said(function: Callable[..., None]) -> Callable[..., None]:
    """Says a failure on stderr, and ends with its status."""

    @wraps(function)
    def run(*args: Any, **given: Any) -> None:
        try:
            function(*args, **given)
        except Failure as failure:
            showing.note(failure.json() if given.get("json") else failure.text())
            raise typer.Exit(failure.exit) from None

    return run


# ---------------------------------------------------------------- carrying out


def _carry_out(command: Command, given: Mapping[str, Any]) -> None:
    _check_only(command, given)
    fields = _fields(command, given)
    _confirm(command, given)
    api = Client(place(given["profile"]))
    path = _path(command, given, api)
    if command.is_list:
        _list(command, api, path, _query(fields), given)
        return
    in_query = command.method == "DELETE"
    body = None if command.method == "GET" or in_query else {**fields, **command.also}
    query = _query(fields) if in_query else ()
    answer = api.send(command.method, path, query, body, given.get("idempotency_key"), given.get("if_match"))
    _show(command, answer, given)


def _check_only(command: Command, given: Mapping[str, Any]) -> None:
    """Before a write that makes a secret, which a mistyped name would lose. Raises Failure."""
    only = given.get("only")
    if only is None:
        return
    if given["json"]:
        raise Failure(Exit.USAGE, "Give either --only or --json.")
    if only not in command.answers:
        raise Failure(Exit.USAGE, f"--only: there is no field {only}. There are {', '.join(command.answers)}.")


def _confirm(command: Command, given: Mapping[str, Any]) -> None:
    """Asks a person at a terminal; a script is asked nothing. Raises Failure."""
    question = command.asks_of_me if given.get("principal_id") == "me" else command.asks
    if not question or given["yes"] or not sys.stdin.isatty():
        return
    # On stderr, as all that is no data.
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure(Exit.USAGE, "Nothing was done.")


def _path(command: Command, given: Mapping[str, Any], api: Client) -> str:
    path = command.path
    for name in _parameters(command):
        value = given[name]
        if name == "principal_id" and value == "me":
            value = api.read("/v1/me")["principal_id"]
        if not re.fullmatch("[0-9A-Za-z-]+", value):
            raise Failure(Exit.USAGE, f"{name.upper()} must be an id, such as 64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1.")
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def _fields(command: Command, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given, as they are sent. Raises Failure."""
    found: dict[str, tuple[Field, Any]] = {}
    for field in command.takes:
        value = given[field.parameter]
        if value is None or value == [] or value is False:
            continue
        if field.name in found:
            names = " or ".join(each.options[0] for each in (found[field.name][0], field))
            raise Failure(Exit.USAGE, f"Give either {names}.")
        if field.moves and given.get("idempotency_key"):
            raise Failure(
                Exit.USAGE, f"{field.options[0]} is another time at each run. With a key, give the time itself."
            )
        found[field.name] = (field, value)
    return {name: field.turn(value) for name, (field, value) in found.items()}


def _query(fields: Mapping[str, Any]) -> Query:
    """A field with several values is sent several times."""
    each = ((name, one) for name, value in fields.items() for one in (value if isinstance(value, list) else [value]))
    return [(name, "true" if value is True else str(value)) for name, value in each]


def _list(command: Command, api: Client, path: str, query: Query, given: Mapping[str, Any]) -> None:
    limit = given["limit"]
    if given.get("follow"):
        if unfit := {"until", "order"} & dict(query).keys():
            raise Failure(Exit.USAGE, f"--follow has no end and one order: leave out --{min(unfit)}.")
        follow(api, path, query, lambda event: _show_event(command, event, given), limit)
        return
    limit = limit or command.limit
    items, has_more = _items(api, path, query, limit)
    if given["only"]:
        for item in items:
            _show_only(item, given["only"])
    elif given["json"]:
        showing.out(json.dumps(items, ensure_ascii=False, indent=1))
    elif items:
        showing.many(items, command.columns)
    else:
        showing.note("There are none.")
    if has_more:
        showing.note(f"These are {len(items)}, and there are more: --limit")


def _show_event(command: Command, event: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if given["only"]:
        _show_only(event, given["only"])
    elif given["json"]:
        showing.out(json.dumps(event, ensure_ascii=False))
    else:
        showing.many([event], command.columns, header=False)


def _items(api: Client, path: str, query: Query, limit: int | None) -> tuple[list[Any], bool]:
    """The entries of all pages, at most `limit`, and whether there are more."""
    items: list[Any] = []
    cursor = None
    while True:
        size = PAGE if limit is None else min(limit - len(items), PAGE)
        page = api.read(path, [*query, ("limit", str(size)), *([("cursor", cursor)] if cursor else [])])
        items += page["data"]
        cursor, has_more = page["meta"]["next_cursor"], page["meta"]["has_more"]
        if not has_more or len(items) == limit:
            return items, has_more


def _show(command: Command, answer: Answer, given: Mapping[str, Any]) -> None:
    if command.done:
        if not given["json"]:
            showing.out(command.done)
        return
    body = answer.body
    if given["only"]:
        _show_only(body, given["only"])
    elif given["json"]:
        showing.out(answer.text)
    else:
        showing.one(body, answer.headers.get("etag"))
    if command.has_secret and not body["secret"] and body["kind"] != "identity":
        # Its person alone could rotate an enrolment, with the secret that is lost.
        way, verb = "rotate it, and it has another secret", "rotate"
        if body["enrol"]:
            way, verb = "it cannot enrol, so revoke it and make another one", "revoke"
        profile = f" --profile {given['profile']}" if given["profile"] else ""
        raise Failure(
            Exit.SECRET_LOST,
            f"The answer with the secret was lost, or was given before. The credential is there: {way}.\n"
            f"  atrium credentials {verb} {given['principal_id']} {body['id']}{profile}",
        )


def _show_only(item: Mapping[str, Any], name: str) -> None:
    value = item.get(name)
    if value is not None:
        showing.out(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


# ---------------------------------------------------------------- the command line


def _parameters(command: Command) -> list[str]:
    return re.findall(r"\{(\w+)\}", command.path)


def _function(command: Command) -> Callable[..., None]:
    """A function whose parameters are those of the table; typer makes a command of it."""
    parameters = [
        _parameter(name, str, typer.Argument(help=PARAMETERS[name], metavar=name.upper()), True)
        for name in _parameters(command)
    ]
    for field in command.takes:
        info: Any = typer.Argument(help=field.help, metavar=field.name.upper())
        if field.options:
            info = typer.Option(*field.options, help=field.help)
        parameters.append(_parameter(field.parameter, field.kind, info, field.required))
    options = [
        *((_LIMIT,) if command.is_list else ()),
        *((_FOLLOW,) if command.follows else ()),
        *((_KEY,) if command.writes else ()),
        *((_IF_MATCH,) if command.changes else ()),
        *((_YES,) if command.asks or command.asks_of_me else ()),
        *(() if command.done else (_ONLY,)),
        *(_JSON, _PROFILE),
    ]
    parameters += [_parameter(name, kind, info, False) for name, kind, info in options]

    def run(**given: Any) -> None:
        _carry_out(command, given)

    return _with_signature(_said(run), parameters, command.help)


def _parameter(name: str, kind: Any, info: Any, required: bool) -> inspect.Parameter:
    optional = kind if kind is bool or required else kind | None
    default: Any = inspect.Parameter.empty if required else False if kind is bool else None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[optional, info]
    )


def _with_signature(
    function: Callable[..., None], parameters: Sequence[inspect.Parameter], help: str
) -> Callable[..., None]:
    vars(function).pop("__wrapped__", None)
    function.__doc__ = help
    function.__annotations__ = {each.name: each.annotation for each in parameters}
    vars(function)["__signature__"] = inspect.Signature(list(parameters))
    return function


def _default(command: Command) -> Callable[..., None]:
    """The same command, where only the name of its group is given."""
    listed = _function(command)
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    def run(context: typer.Context, **given: Any) -> None:
        if context.invoked_subcommand is None:
            listed(**given)
        elif any(given.values()):
            showing.note(f"Error: options come after {context.invoked_subcommand}.")
            raise typer.Exit(Exit.USAGE)

    return _with_signature(run, [context, *inspect.signature(listed).parameters.values()], GROUPS[command.group])


def _epilog(examples: Sequence[str]) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


def _typer(help: str | None = None, **more: Any) -> typer.Typer:
    """Plain text in every help: a script can search it, and it fits on every terminal."""
    return typer.Typer(help=help, rich_markup_mode=None, pretty_exceptions_enable=False, **more)


def build() -> typer.Typer:
    statuses = "\n".join(f"  {exit:>2}  {meaning}" for exit, meaning in MEANINGS.items())
    whole = _typer(no_args_is_help=True, epilog=f"\b\nExit statuses:\n{statuses}")
    groups = {"": whole}
    defaults = {command.group: command for command in COMMANDS if command.default}
    for words, help in GROUPS.items():
        parent, _, name = words.rpartition(" ")
        default = defaults.get(words)
        groups[words] = _typer(help, no_args_is_help=default is None, add_completion=False)
        if default:
            groups[words].callback(invoke_without_command=True, epilog=_epilog(default.examples))(_default(default))
        groups[parent].add_typer(groups[words], name=name)
    whole.command("login", epilog=_epilog(EXAMPLES))(_said(login))
    for command in COMMANDS:
        name = command.words.rpartition(" ")[2]
        groups[command.group].command(name, short_help=command.help, epilog=_epilog(command.examples))(
            _function(command)
        )

    @whole.callback()
    def _whole() -> None:
        """Spaces, people, keys, projects and events of an Atrium. Each command has --help, with examples."""

    return whole


app = build()
