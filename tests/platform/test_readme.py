"""README is true: its tour works as printed, its tables and map are those of the code."""

import json
import re

from pydantic import BaseModel

from atrium.api.v1_records import NewDataset, NewDecision, NewExperiment, NewTask
from benchmarks.report import RESULTS, readme_section, tables
from local.template import ROOT, Template
from tests.platform.test_template import routes
from tests.support.client import Answer, World, curls

README = (ROOT / "README.md").read_text()


def test_the_tour_works_as_printed(world: World) -> None:
    take_the_tour(world)


def take_the_tour(world: World) -> None:
    """In a world where acme has no project yet."""
    acme = world.dev["tenants"]["acme"]
    owner = acme["principals"]["owner"]
    variables = {
        "TOKEN": owner["token"],
        "KEY": owner["api_key"],
        "SPACE": acme["spaces"]["default"],
        "MEMBER": acme["principals"]["outsider"]["principal_id"],
        "ROLE": world.dev["roles"]["viewer"],
    }
    for name, path in re.findall(r'^(\w+)=\$\(dev "(.*)"\)$', README, re.MULTILINE):
        assert variables[name] == eval(f"dev{path}", {"dev": world.dev})

    def run(text: str) -> list[Answer]:
        for name, value in variables.items():
            text = text.replace(f"${name}", value)
        return [world.raw(*command) for command in curls(text)]

    tour = README.partition("## A tour")[2].partition("## Routes")[0]
    first, second = tour.split("PROJECT=<id>")
    made, listed, listed_in_v1, made_in_v1 = run(first)
    assert [answer.status for answer in (made, listed, listed_in_v1, made_in_v1)] == [201, 200, 200, 201]
    assert listed.body == [made.body]
    assert [project["name"] for project in listed_in_v1.body["data"]] == [made.body["projectName"]]
    again = run(first)[0]
    assert (again.content, again.replayed) == (made.content, True)
    variables["PROJECT"] = made_in_v1.body["id"]
    assert [answer.status for answer in run(second)] == [201, 200, 204]


def test_the_route_table_is_the_templates(template: Template) -> None:
    rows = re.findall(r"^\| `(\w+) ([^`]+)` \|", README, re.MULTILINE)
    listed = {(method, path.replace("…", "/v1/spaces/{space_id}")) for method, path in rows}
    assert listed == {*routes(template).values(), *routes(template, public=True).values()}
    assert len(rows) == len(listed)


def test_the_map_names_what_is_there() -> None:
    block = README.partition("## Map of the code")[2].split("```")[1]
    places = re.findall(r"^ *([\w./]+/|[\w.]+\.\w+)(?= )", block, re.MULTILINE)
    assert len(places) >= 12
    everything = {
        path.name for path in ROOT.rglob("*") if ".venv" not in path.parts and "node_modules" not in path.parts
    }
    assert not [place for place in places if place.rstrip("/").split("/")[-1] not in everything]
    for name in re.findall(r"\w+\.py", block):
        assert name in everything, name


def test_the_fields_of_records_are_documented_as_they_are_taken() -> None:
    text = (ROOT / "docs/records.md").read_text()
    kinds: dict[str, type[BaseModel]] = {
        "Tasks": NewTask,
        "Datasets": NewDataset,
        "Experiments": NewExperiment,
        "Decisions": NewDecision,
    }
    for title, model in kinds.items():
        section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        documented = dict(re.findall(r"^\| `(\w+)` \| (required|optional) \|", section, re.MULTILINE))
        taken = {name: "required" if field.is_required() else "optional" for name, field in model.model_fields.items()}
        assert documented == taken, title


def test_the_figures_are_those_of_the_last_run_of_the_benchmarks() -> None:
    results = json.loads((RESULTS / "results.json").read_text())
    costs = json.loads((RESULTS / "routes.json").read_text())
    assert readme_section(results) in README
    assert tables(results, costs) == (RESULTS / "README.md").read_text()


def test_every_promise_has_a_proof_that_is_there() -> None:
    rows = re.findall(r"^\| .+ \| `(.+?)` \| .+ \|$", (ROOT / "docs/promises.md").read_text(), re.MULTILINE)
    assert len(rows) >= 30
    for proof in (each for row in rows for each in row.split("`, `")):
        program = re.fullmatch(r"python -m (benchmarks)\.(\w+)", proof)
        file, _, chosen = proof.partition(" -k ")
        path = ROOT / (f"{program[1]}/{program[2]}.py" if program else file)
        assert path.is_file(), proof
        tests = re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        for name in chosen.strip("'").split(" or ") if chosen else []:
            assert any(name in test for test in tests), proof
