"""`atrium login`: a profile with the URL of an Atrium and a credential for it."""

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from atrium_cli import places
from atrium_cli.client import Answer, Client
from atrium_cli.failures import Exit, Failure, no_api
from atrium_cli.places import Place
from atrium_cli.showing import note, out

# Answers with a new secret that may be lost one after the other.
_ATTEMPTS = 3

EXAMPLES = (
    "atrium login --url https://api.example/prod",
    "atrium login --rotate",
    'echo "$SECRET" | atrium login --profile ci --url https://api.example/prod',
)


def login(
    url: Annotated[
        str | None, typer.Option(help="The API's address, its stage included. Else ATRIUM_URL, or asked.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="The profile to write. Else ATRIUM_PROFILE, or default.")] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Rotates the credential, so that none but this profile has its secret.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: the answer of GET /v1/me.")] = False,
) -> None:
    """Checks a credential, and keeps it in a profile that only you can read.

    The secret is taken from ATRIUM_TOKEN, or asked without showing it, or read as the first line of stdin. A person
    who was given a credential that enrols makes it whole with --rotate.
    """
    profile = profile or os.environ.get("ATRIUM_PROFILE") or places.DEFAULT
    places.file_of(profile)
    given = url or os.environ.get("ATRIUM_URL") or _asked("URL: ")
    to = Place(given.rstrip("/").removesuffix("/docs").rstrip("/"), _secret())
    api = Client(to)
    answer = _me(api, to.url)
    me = answer.body
    credential = me["credential"]
    if rotate and credential:
        # No secret is made that could not be kept. The older one is kept nowhere: it may be good for nothing.
        places.rehearse(profile, to)
        at = f"/v1/principals/{me['principal_id']}/credentials/{credential['id']}/rotate"
        to = Place(to.url, _rotated(api, at))
    elif credential and credential["permissions"] == []:
        note("This credential enrols you, and is good for nothing else yet: atrium login --rotate")
    path = places.write(profile, to)
    home = Path.home()
    shown = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else path
    out(answer.text if json else f"Logged in to {to.url} as {me['name']}. The profile is {shown}.")


def _me(api: Client, url: str) -> Answer:
    """Of GET /v1/me. Raises Failure, which tells a wrong URL from a wrong secret."""
    try:
        answer = api.send("GET", "/v1/me")
    except Failure as failure:
        if failure.code == "unauthorized":
            failure.detail = f"The secret is not valid at {url}."
        if failure.is_of_no_api:
            raise no_api(url) from None
        raise
    if not isinstance(answer.body, dict) or "principal_id" not in answer.body:
        raise no_api(url)
    return answer


def _rotated(api: Client, path: str) -> str:
    """The new secret. A rotation whose answer was lost is followed by another one, which replaces its secret."""
    for _ in range(_ATTEMPTS):
        secret: str | None = api.send("POST", path, body={}, key=str(uuid4())).body["secret"]
        if secret:
            return secret
    raise Failure(Exit.SECRET_LOST, "The answers with the new secret were lost. Log in with --rotate again.")


def _secret() -> str:
    if token := os.environ.get("ATRIUM_TOKEN"):
        return token
    asked = sys.stdin.isatty()
    secret = getpass("Secret: ") if asked else sys.stdin.readline().strip()
    if not secret:
        raise Failure(Exit.USAGE, "No secret was given." if asked else "No secret was given on stdin.")
    return secret


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise Failure(Exit.USAGE, "Give the URL: --url, or ATRIUM_URL.")
    return input(question).strip()
