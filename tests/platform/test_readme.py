"""README's tour works as printed, and its tables and map agree with the code."""

import json
import re

from pydantic import BaseModel

from atrium.api.v1_records import NewDataset, NewDecision, NewExperiment, NewTask
from benchmarks.report import RESULTS, readme_section, tables
from local.template import ROOT, Template
from tests.support.client import World
from tests.support.documents import README, take_the_tour
from tests.support.routes import routes


def test_the_tour_works_as_printed(world: World) -> None:
    take_the_tour(world)


def test_the_route_table_equals_the_templates_routes(template: Template) -> None:
    rows = re.findall(r"^\| `(\w+) ([^`]+)` \|", README, re.MULTILINE)
    listed = {(method, path.replace("…", "/v1/spaces/{space_id}")) for method, path in rows}
    assert listed == {*routes(template).values(), *routes(template, public=True).values()}
    assert len(rows) == len(listed)


def test_the_map_names_existing_files() -> None:
    block = README.partition("## Map of the code")[2].split("```")[1]
    places = re.findall(r"^ *([\w./]+/|[\w.]+\.\w+)(?= )", block, re.MULTILINE)
    assert len(places) >= 12
    everything = {
        path.name for path in ROOT.rglob("*") if ".venv" not in path.parts and "node_modules" not in path.parts
    }
    assert not [place for place in places if place.rstrip("/").split("/")[-1] not in everything]
    for name in re.findall(r"\w+\.py", block):
        assert name in everything, name


def test_the_documented_fields_of_records_equal_the_models() -> None:
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


def test_the_figures_equal_the_last_run_of_the_benchmarks() -> None:
    results = json.loads((RESULTS / "results.json").read_text())
    costs = json.loads((RESULTS / "routes.json").read_text())
    assert readme_section(results) in README
    assert tables(results, costs) == (RESULTS / "README.md").read_text()


def test_every_promise_has_an_existing_proof() -> None:
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
