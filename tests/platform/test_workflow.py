"""The workflow of a hosted runner fits this repository and needs no secret, which its linters cannot check."""

import re
import tomllib
from typing import Any

import yaml

from local.template import ROOT

TEXT = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def steps(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_no_job_needs_a_secret_and_only_the_deploying_job_has_a_token() -> None:
    assert "secrets" not in TEXT
    assert "aws-access-key-id" not in TEXT
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "test": {"contents": "read"},
        "deploy": {"contents": "read", "id-token": "write"},
    }


def test_the_tested_build_is_deployed_and_pull_requests_are_not() -> None:
    assert steps("test") == ["make test", "make sbom"]
    assert JOBS["deploy"]["needs"] in JOBS
    assert JOBS["deploy"]["if"] == "github.event_name != 'pull_request'"
    (kept,) = [step["with"] for step in JOBS["test"]["steps"] if "upload-artifact" in step.get("uses", "")]
    (taken,) = [step["with"] for step in JOBS["deploy"]["steps"] if "download-artifact" in step.get("uses", "")]
    assert (kept["name"], kept["path"]) == (taken["name"], taken["path"]) == ("built", ".aws-sam/build")


def test_the_workflow_installs_the_functions_python_for_compiling() -> None:
    (versions,) = [
        step["with"]["python-version"] for step in JOBS["test"]["steps"] if "setup-python" in step.get("uses", "")
    ]
    template = (ROOT / "template.yaml").read_text()
    (runtime,) = set(re.findall(r"python(3\.\d+)\b", template))
    assert versions.split() == [runtime, "3.11"]


def test_every_environment_has_its_deployments_in_samconfig_and_its_trust_in_the_documentation() -> None:
    # YAML 1.1 reads the word `on` as true.
    environments = WORKFLOW[True]["workflow_dispatch"]["inputs"]["environment"]["options"]
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for environment in environments:
        assert {environment, f"{environment}-alarms"} <= configured.keys()
    commands = [command for command in steps("deploy") if "sam deploy" in command]
    assert [re.findall(r'--config-env "(.*?)"', command) for command in commands] == [
        ["$ENVIRONMENT"],
        ["$ENVIRONMENT-alarms"],
    ]
    assert ":environment:prod" in OPERATIONS
    for variable in re.findall(r"vars\.(\w+)", TEXT):
        assert f"`{variable}`" in OPERATIONS


def test_expressions_name_existing_contexts() -> None:
    """`${{ var.X }}`, a misspelled context, would silently be empty."""
    for expression in re.findall(r"\$\{\{(.*?)\}\}", TEXT):
        words = re.sub(r"'[^']*'", "", expression)
        assert set(re.findall(r"\b([a-z]\w*)\.", words)) <= {"github", "inputs", "vars"}, expression


def test_called_make_targets_exist() -> None:
    targets = re.findall(
        r"^([\w./$()-]+):", (ROOT / "Makefile").read_text().replace("$(READY)", ".venv/ready"), re.MULTILINE
    )
    called = re.findall(r"^ *- run: make (\S+)$", TEXT, re.MULTILINE)
    assert len(called) == 3
    assert set(called) <= set(targets)
