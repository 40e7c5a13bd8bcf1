"""docs/sam-local.md is true as far as a machine without containers can tell."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

from samcli.commands.local.invoke.cli import cli as invoke
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.commands.local.start_api.cli import cli as start_api
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

from local.rie import BUILD, MACHINE
from local.sam_local import FOLDER, prepare
from local.template import ROOT, Template, lambda_environment

TEXT = (ROOT / "docs" / "sam-local.md").read_text()
COMMANDS = {"invoke": invoke, "start-api": start_api}


def test_every_function_is_named_with_its_sample_event(template: Template) -> None:
    named = re.findall(r"^run (\w+) (\S+)$", TEXT, re.MULTILINE)
    assert len(named) == len(dict(named))
    assert {name: f"{event.replace('/', '.')}.handler" for name, event in named} == {
        name: function.handler for name, function in template.functions.items()
    }
    events = {str(path.relative_to(ROOT / "events").with_suffix("")) for path in (ROOT / "events").rglob("*.json")}
    assert {event for _, event in named} == events


def test_the_commands_have_no_option_that_sam_does_not_have() -> None:
    commands = re.findall(r"^ *sam local (\S+) (.*)$", TEXT, re.MULTILINE)
    assert {name for name, _ in commands} == set(COMMANDS)
    for name, rest in commands:
        words = [word for word in shlex.split(rest) if word.startswith("-")]
        assert set(words) <= {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert f"--template {FOLDER.relative_to(ROOT)}/sam.json" in rest
        assert f"--env-vars {FOLDER.relative_to(ROOT)}/env.json" in rest
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_what_is_written_gives_each_function_its_variables_in_the_container(tmp_path: Path, template: Template) -> None:
    shutil.copy(BUILD / "template.yaml", tmp_path)
    endpoints = {"dynamodb": "http://127.0.0.1:5001", "eventbridge": "http://127.0.0.1:5002"}
    prepare(tmp_path, endpoints, "host.docker.internal")

    stacks, _ = SamLocalStackProvider.get_stacks(str(tmp_path / "sam.json"))
    functions = SamFunctionProvider(stacks)
    given = json.loads((tmp_path / "env.json").read_text())
    no_containers: Any = None
    runner = LocalLambdaRunner(no_containers, functions, str(tmp_path), str(tmp_path), env_vars_values=given)
    there = [url.replace("127.0.0.1", "host.docker.internal") for url in endpoints.values()]
    for name, function in template.functions.items():
        found = functions.get(name)
        assert found is not None
        assert found.handler == function.handler
        assert found.architectures == [MACHINE]
        variables = runner._make_env_vars(found).resolve()
        assert lambda_environment(function, *there).items() <= variables.items()
