"""Helpers of the tests of records: kinds, defaults, ids and pages."""

from typing import Any

from tests.support.client import (
    RECORDS,
    Answer,
)

KINDS = sorted(RECORDS)
# A text of each kind that every record of it has.
TEXT = {"tasks": "description", "datasets": "source", "experiments": "conclusion", "decisions": "justification"}


def next_page(answer: Answer) -> str:
    """The target of an answer's Link."""
    return answer.headers["link"].partition(">")[0].partition("api.test")[2]


def id_of(path: str) -> str:
    return path.rpartition("/")[2]


def stored(sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, as it is answered: moments in UTC."""
    return {name: f"{value}T00:00:00.000Z" if name.endswith("date") else value for name, value in sent.items()}


DEFAULTS: dict[str, dict[str, Any]] = {
    "tasks": {
        "status": "pending",
        "completed": False,
        "assigned_to": None,
        "estimated_hours": None,
        "priority": None,
        "deadline": None,
        "started_at": None,
        "finished_at": None,
        "completed_by": [],
    },
    "datasets": {"records": 0},
    "experiments": {},
    "decisions": {"alternatives": ""},
}
