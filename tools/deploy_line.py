"""`make deploy-line`: prints a `sam deploy` with all parameters of a deployed stack, for that stack or another one, and
with some of the values changed.

Parameters on the command line replace all of samconfig.toml's, and an existing stack keeps the values of omitted ones,
so the line has every parameter. SAM's own parser checks each value; a line that SAM would read differently is not
printed.
"""

import argparse
import os
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError
from samcli.cli.types import CfnParameterOverridesType, CfnTags
from samtranslator.yaml_helper import yaml_parse

from local.template import ROOT
from tools.versioned import PARAMETERS


class Impossible(Exception):
    """No such line exists; the message gives the reason."""


def deploy_line(stack: str, to: str, environment: str | None, changes: Mapping[str, str]) -> str:
    """The line, for a shell, which deploys the stack `to` with the parameters of `stack`. `environment` is one of
    samconfig.toml; None chooses the one of either stack. Raises Impossible, and the SDK's exceptions.
    """
    if not stack:
        raise Impossible("Give FROM: the stack whose parameters are kept.")
    environments = _environments()
    by_stack = {each.get("stack_name"): name for name, each in environments.items()}
    environment = environment or by_stack.get(stack) or by_stack.get(to)
    if environment not in environments:
        names = ", ".join(name for name in environments if name != "default")
        raise Impossible(f"samconfig.toml has no such environment, or none of {stack}: give ENV, one of {names}.")
    settings = environments[environment]
    # The AWS CLI reads AWS_REGION too; boto3 does not.
    region = settings.get("region") or os.environ.get("AWS_REGION")
    cloudformation = boto3.Session(profile_name=settings.get("profile"), region_name=region).client("cloudformation")
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    values = {given["ParameterKey"]: given["ParameterValue"] for given in found.get("Parameters", [])}
    known = {*values, *_parameters(settings.get("template_file", "template.yaml"))}
    if unknown := sorted(changes.keys() - known):
        raise Impossible(f"No such parameter: {', '.join(unknown)}. There are {', '.join(sorted(known))}.")
    declared = cloudformation.get_template_summary(StackName=stack)["Parameters"]
    hidden = {each["ParameterKey"] for each in declared if each.get("NoEcho")} - changes.keys()
    if hidden and to != stack:
        raise Impossible(f"CloudFormation does not tell {', '.join(sorted(hidden))}: give it in SET.")
    # An existing stack keeps the values of omitted parameters.
    parameters = {name: value for name, value in {**values, **changes}.items() if name not in hidden}
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    options = {
        "config-env": [environment],
        "stack-name": [to],
        "region": [cloudformation.meta.region_name],
        "role-arn": [found["RoleARN"]] if "RoleARN" in found else [],
        "notification-arns": found.get("NotificationARNs", []),
        "tags": list(_spelled(tags, CfnTags())),
        "parameter-overrides": list(_spelled(parameters, CfnParameterOverridesType())),
    }
    words = [word for name, given in options.items() if given for word in (f"--{name}", *given)]
    return shlex.join(["sam", "deploy", *words])


def _spelled(pairs: Mapping[str, str], parser: click.ParamType) -> Iterator[str]:
    """Spells each pair as a word that SAM parses as exactly that pair. Raises Impossible."""
    for name, value in pairs.items():
        try:
            yield next(word for word in _spellings(name, value) if _read(word, parser) == {name: value})
        except StopIteration:
            raise Impossible(f"SAM cannot be given {name} as it is: {value!r}") from None


def _spellings(name: str, value: str) -> Iterator[str]:
    yield f"{name}={value}"
    for quote in "\"'":
        # SAM removes one backslash before a space or a quote, and none before other characters.
        escaped = "".join(
            "\\" + char if char == quote or (char in " \"'" and value[at - 1 : at] == "\\") else char
            for at, char in enumerate(value)
        )
        yield f"{name}={quote}{escaped}{quote}"


def _read(word: str, parser: click.ParamType) -> Any:
    try:
        return parser.convert((word,), None, None)
    except click.UsageError:
        return None


def _environments() -> dict[str, dict[str, Any]]:
    """The settings of `sam deploy` in samconfig.toml, by environment."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {
        name: commands["deploy"]["parameters"]
        for name, commands in config.items()
        if isinstance(commands, dict) and "deploy" in commands
    }


def _parameters(template: str) -> set[str]:
    """The names of a template's parameters, including those of its form with versions."""
    declared = yaml_parse((ROOT / template).read_text()).get("Parameters", {})
    return {*declared, *(PARAMETERS if template == "template.yaml" else ())}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not Name=value")
    return name, value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deploy-line", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("stack", metavar="FROM", help="the stack whose parameters are kept")
    parser.add_argument("--to", metavar="TO", help="the stack that is deployed; FROM, if not given")
    parser.add_argument("--env", help="the environment of samconfig.toml, if not the one of FROM or TO")
    parser.add_argument("changes", nargs="*", type=_pair, metavar="Name=value", help="parameters that change")
    given = parser.parse_intermixed_args(arguments)
    try:
        print(deploy_line(given.stack, given.to or given.stack, given.env, dict(given.changes)))
    except Impossible as error:
        print(error, file=sys.stderr)
        return 1
    except ClientError as error:
        print(error.response["Error"]["Message"], file=sys.stderr)
        return 1
    except BotoCoreError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
