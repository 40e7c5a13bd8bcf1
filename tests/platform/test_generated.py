"""The committed files equal the output of `make generate`, which refuses a wrong declaration in a route's file."""

import pytest

from local.template import ROOT
from tools import routes
from tools.generate import derived, with_part
from tools.routes import WrongDeclaration


def test_derived_files_equal_the_output_of_make_generate() -> None:
    """All of them in one test: to know their names is to make them, and every worker of a run collects the tests."""
    made = {str(path.relative_to(ROOT)): (path, text) for path, text in derived().items()}
    assert len(made) > 100
    other = [name for name, (path, text) in made.items() if not path.exists() or path.read_text() != text]
    if other:
        pytest.fail(
            f"{', '.join(other)}: not what follows from the routes' files in functions/. Run `make generate`, look at "
            "what `git diff` shows, and commit it together with the change that it follows from.",
            pytrace=False,
        )


def test_a_part_is_replaced_only_between_its_marks() -> None:
    text = "a\n# written by `make generate`: routes\nold\n  # until here\nb\n# until here\n"
    assert with_part(text, "routes", "new\n") == text.replace("old\n", "new\n")
    with pytest.raises(WrongDeclaration, match="has lost its marks: `written by `make generate`: events`"):
        with_part(text, "events", "new\n")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"access": "Writes"}, r'list_tasks.py: access="Writes", but template.yaml has no WritesRole. It has .*Write'),
        ({"permission": "task:read"}, r'list_tasks.py: permission="task:read", which no role has'),
    ],
)
def test_an_unknown_access_or_permission_of_a_route_is_refused_with_the_files_name(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], told: str
) -> None:
    from projects import list_tasks

    monkeypatch.setattr(list_tasks.api, "facts", {**list_tasks.api.facts, **wrong})
    with pytest.raises(WrongDeclaration, match=told):
        routes._route("projects/list_tasks")


@pytest.mark.parametrize("docstring", [None, "", "List tasks", "List\ntasks."])
def test_a_route_without_a_summary_is_refused(monkeypatch: pytest.MonkeyPatch, docstring: str | None) -> None:
    from projects import list_tasks

    monkeypatch.setattr(list_tasks, "__doc__", docstring)
    with pytest.raises(
        WrongDeclaration, match=r"functions/projects/list_tasks\.py: begin the docstring with one sentence"
    ):
        routes._route("projects/list_tasks")


def test_a_path_without_a_group_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    route = routes._route("projects/list_tasks")
    monkeypatch.setattr(routes, "GROUPS", [group for group in routes.GROUPS if group.name.startswith("v1-")])
    with pytest.raises(WrongDeclaration, match=r"no group of routes has the path /projects/\{id\}/tasks"):
        _ = route.group
