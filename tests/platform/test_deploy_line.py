"""`make deploy-line` prints a command that the shell and SAM read as the stack's parameters with the named changes."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws
from samcli.cli.types import CfnParameterOverridesType

from local.template import ROOT
from tests.support.clock import NET
from tests.support.documents import OPERATIONS, commands
from tools import deploy_line

JWKS = json.dumps({"keys": [{"kid": 'Ada\'s "key"', "n": "a\\b c"}]}, indent=1)
HAS = {
    "Stage": "prod",
    "CorsOrigin": "*",
    "JwtIssuer": "https://login.example.com/?a=b&c=$d",
    "JwtJwks": '{"keys": [{"kid": "Ada"}]}',
    "LogRetentionDays": "90",
    "DomainName": "api.example.com",
    "HostedZoneId": "",
}
TAGS = {"application": "atrium", "cost centre": "four two"}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudFormation with the stacks atrium-prod and atrium-prod-alarms, and atrium-dev with a hidden value."""
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("cloudformation", region_name="eu-west-1")

        def create(name: str, values: dict[str, str], hidden: str = "") -> None:
            declared = {key: {"Type": "String", "NoEcho": key == hidden} for key in values}
            template = {"Parameters": declared, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
            client.create_stack(
                StackName=name,
                TemplateBody=json.dumps(template),
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
                Tags=[{"Key": key, "Value": value} for key, value in TAGS.items()],
            )

        create("atrium-prod", HAS)
        create("atrium-prod-alarms", {"Stack": "atrium-prod", "AlarmTopic": "arn:aws:sns:eu-west-1:000000000000:us"})
        create("atrium-dev", {"Stage": "dev", "JwtIssuer": "****"}, hidden="JwtIssuer")
        yield client


@pytest.fixture
def run(stacks: Any, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: its status, output and errors."""

    def asked(*arguments: str) -> tuple[int, str, str]:
        return deploy_line.main(arguments), *capsys.readouterr()

    return asked


def as_sam_reads(line: str) -> dict[str, Any]:
    """All options, including those of samconfig.toml."""
    sam, deploy, *words = shlex.split(line)
    assert (sam, deploy) == ("sam", "deploy")
    # A second of imports, which every worker of a run would pay for when it collects the tests.
    from samcli.commands.deploy.command import cli as sam_deploy

    options: dict[str, Any] = sam_deploy.make_context("deploy", words).params
    return options


def test_the_line_gives_the_stacks_parameters_and_the_named_changes(run: Run) -> None:
    status, line, said = run("atrium-prod", "--to", "atrium-restored", "RestoredTable=atrium-restored", "DomainName=")
    assert (status, said) == (0, "")
    assert line == (
        "sam deploy --config-env prod --stack-name atrium-restored --region eu-west-1 "
        "--tags application=atrium 'cost centre=four two' "
        "--parameter-overrides Stage=prod 'CorsOrigin=*' 'JwtIssuer=https://login.example.com/?a=b&c=$d' "
        r"""'JwtJwks="{\"keys\": [{\"kid\": \"Ada\"}]}"' """
        "LogRetentionDays=90 'DomainName=\"\"' 'HostedZoneId=\"\"' RestoredTable=atrium-restored\n"
    )
    read = as_sam_reads(line)
    assert read["parameter_overrides"] == HAS | {"RestoredTable": "atrium-restored", "DomainName": ""}
    assert read["tags"] == TAGS
    assert (read["stack_name"], read["capabilities"], read["resolve_s3"]) == (
        "atrium-restored",
        ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        True,
    )


def test_without_another_stack_the_line_deploys_to_the_same_stack(run: Run) -> None:
    status, line, _ = run("atrium-prod-alarms", "AlarmTopic=arn:aws:sns:eu-west-1:000000000000:them")
    read = as_sam_reads(line)
    assert (status, read["stack_name"]) == (0, "atrium-prod-alarms")
    assert read["template_file"] == str(ROOT / "observability.yaml")
    assert read["parameter_overrides"] == {
        "Stack": "atrium-prod",
        "AlarmTopic": "arn:aws:sns:eu-west-1:000000000000:them",
    }


def test_a_hidden_value_stays_in_its_stack_and_is_required_for_another(run: Run) -> None:
    status, line, _ = run("atrium-dev", "SnapStart=on")
    assert (status, as_sam_reads(line)["parameter_overrides"]) == (0, {"Stage": "dev", "SnapStart": "on"})
    assert run("atrium-dev", "--to", "atrium-2") == (
        1,
        "",
        "CloudFormation does not tell JwtIssuer: give it in SET.\n",
    )
    status, line, _ = run("atrium-dev", "--to", "atrium-2", "JwtIssuer=https://login.example.com")
    assert as_sam_reads(line)["parameter_overrides"] == {"Stage": "dev", "JwtIssuer": "https://login.example.com"}


@given(st.text())
@example(JWKS)
@example("")
@example("two words")
@example('say "it\'s"')
@example("ParameterKey=Stage,ParameterValue=dev")
@example("a Stage=dev")
def test_sam_reads_every_value_unchanged_or_the_command_fails(value: str) -> None:
    parser = CfnParameterOverridesType()
    try:
        (word,) = deploy_line._spelled({"JwtJwks": value}, parser)
    except deploy_line.Impossible:
        assert re.search(r"""\\["' ]|\\$|ParameterKey=""", value), "only these cannot be passed on"
        return
    assert parser.convert((word,), None, None) == {"JwtJwks": value}


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_json_document_can_always_be_given(document: Any) -> None:
    for indent in (None, 2):
        text = json.dumps({"keys": document}, indent=indent)
        if "ParameterKey=" not in text:
            (word,) = deploy_line._spelled({"JwtJwks": text}, CfnParameterOverridesType())
            assert CfnParameterOverridesType().convert((word,), None, None) == {"JwtJwks": text}


def test_a_missing_stack_or_parameter_gives_one_line_and_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ", ".join(sorted({*HAS, *deploy_line._parameters("template.yaml")}))
    assert run("atrium-prod", "JwtIsuer=x") == (1, "", f"No such parameter: JwtIsuer. There are {names}.\n")
    assert run("") == (1, "", "Give FROM: the stack whose parameters are kept.\n")
    known = "dev, dev-alarms, prod, prod-alarms"
    assert run("another") == (
        1,
        "",
        f"samconfig.toml has no such environment, or none of another: give ENV, one of {known}.\n",
    )
    assert run("another", "--env", "prod") == (1, "", "Stack with id another does not exist\n")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    assert run("atrium-prod") == (1, "", "The config profile (missing) could not be found\n")
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.delenv("AWS_REGION")
    assert run("atrium-prod") == (1, "", "You must specify a region.\n")


def test_make_uses_the_accounts_region_and_reports_a_missing_region_or_credentials() -> None:
    """The Makefile sets a region for the tests, which must not replace the profile's."""
    hidden = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    without = {**hidden, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": "/nowhere"}
    command = ["make", "-s", "deploy-line", "FROM=atrium-prod", "SET=JwtAudience='two words'"]
    for environment, said in (
        (without, "You must specify a region."),
        (without | {"AWS_REGION": "eu-west-1"}, "Unable to locate credentials"),
    ):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=NET, check=False
        )
        assert (done.stdout, done.stderr.splitlines()[0]) == ("", said)
        assert done.returncode != 0


def test_deploy_lines_of_operations_set_existing_parameters() -> None:
    """No command gives --parameter-overrides by hand, which would reset the parameters left out."""
    lines = [line for line in commands() if line.startswith("make deploy-line")]
    assert len(lines) >= 4
    names = deploy_line._parameters("template.yaml") | deploy_line._parameters("observability.yaml")
    for line in lines:
        changed = re.findall(r"\b(\w+)=", re.findall(r"SET='?\"?([^\"]*)", line)[0])
        assert changed, line
        assert {*changed} <= names, line
    assert "--parameter-overrides" not in OPERATIONS
