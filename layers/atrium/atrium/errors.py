"""The failures that the domain names. None of them knows HTTP; `api` maps each to a status, in one dictionary."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Detail:
    """One thing wrong with what was sent: where, what to do about it, and a stable word for programs."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Refusal(Exception):
    """A request that Atrium refuses. `message` is for the caller: it says what is wrong and holds nothing submitted."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(Refusal):
    """There is no such thing, or none that this tenant may know of."""


class Forbidden(Refusal):
    """The caller may know of it, but may not do this."""


class Conflict(Refusal):
    """The thing's state does not allow it."""


class Archived(Conflict):
    """Its project is archived."""

    def __init__(self) -> None:
        super().__init__("The project is archived.")


class NamedManager(Conflict):
    """A project always has a named manager, who cannot be removed or demoted."""

    def __init__(self) -> None:
        super().__init__("This member is the project's manager.")


class Duplicate(Conflict):
    """It is there already."""


class PreconditionFailed(Refusal):
    """If-Match named another version than the current one."""


class Invalid(Refusal):
    """What was sent cannot be accepted, whatever the state."""

    def __init__(self, *details: Detail) -> None:
        super().__init__("; ".join(detail.msg for detail in details))
        self.details = details


class TooLarge(Refusal):
    """The body is over the limit."""


class WrongMediaType(Refusal):
    """The body is not declared as JSON."""


class Unavailable(Refusal):
    """The table did not answer in time. Nothing is known to be wrong with the request; the same one may be sent
    again.
    """

    def __init__(self) -> None:
        super().__init__("The service is busy. Send the same request again, with the same Idempotency-Key.")


def project_not_found() -> NotFound:
    return NotFound("Project not found.")


def not_a_member(field: str) -> Invalid:
    return Invalid(Detail(("body", field), "Must be a member of the project", "not_a_member"))


def no_access() -> Forbidden:
    return Forbidden("You do not have access to this project.")
