"""The commands and requests that README and docs/operations.md give their readers."""

import re

from local.template import ROOT
from tests.support.client import Answer, World, curls

OPERATIONS = (ROOT / "docs/operations.md").read_text()


def commands() -> list[str]:
    """Every command of the blocks, and of the lines that are one, with its continuations."""
    blocks = re.findall(r"^```\n(.*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [*lines, *re.findall(r"`((?:invoke|ask|aws|make|sam|jq) [^`]+)`", OPERATIONS)]


README = (ROOT / "README.md").read_text()


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
