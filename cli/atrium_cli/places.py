"""Where the API is, and the secret to send: from a profile, the environment or a laptop's instance.

In this order: the profile of --profile; ATRIUM_TOKEN, with ATRIUM_URL; the profile of ATRIUM_PROFILE; the profile
`default`, if there is one; the instance that `make run` serves. The profile `laptop` is that instance always.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from atrium_cli.failures import Exit, Failure

LOCAL = "http://127.0.0.1:3000"
DEFAULT = "default"
LAPTOP = "laptop"


@dataclass(frozen=True)
class Place:
    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raises Failure where a secret must not be sent, or is none."""
        if not _is_base(self.url):
            raise Failure(Exit.USAGE, "The URL must be like https://api.example/prod.")
        if self.url.startswith("http:") and not self.is_here:
            raise Failure(Exit.USAGE, "A secret goes over https only, unless the URL is of this machine.")
        if not re.fullmatch("[!-~]+", self.token):
            raise Failure(Exit.USAGE, "The secret must be visible ASCII, without blanks.")

    @property
    def is_here(self) -> bool:
        """Whether the URL is one of this machine's own."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ip_address(host).is_loopback
        except ValueError:
            return False


def _is_base(url: str) -> bool:
    """Whether paths can be added to it."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(fits) and re.fullmatch(r"[!-~]+", url) is not None and not re.search(r"[@?#]", url)


def place(profile: str | None) -> Place:
    """Raises Failure where there is none."""
    token, url = os.environ.get("ATRIUM_TOKEN"), os.environ.get("ATRIUM_URL")
    if profile is None and url and not token:
        # A profile's secret is for the profile's URL.
        raise Failure(Exit.USAGE, "ATRIUM_URL is set. Set ATRIUM_TOKEN, too.")
    name = profile or os.environ.get("ATRIUM_PROFILE")
    if profile is None and token:
        return Place((url or _url_of(name)).rstrip("/"), token)
    found = _laptop() if name == LAPTOP else _read(name or DEFAULT) or (None if name else _laptop())
    if found is None and name in (None, LAPTOP):
        raise Failure(Exit.USAGE, "No credential: log in with `atrium login`, or start an instance with `make run`.")
    if found is None:
        raise Failure(Exit.USAGE, f"There is no profile {name}: `atrium login --profile {name}` makes it.")
    return found


def _url_of(name: str | None) -> str:
    found = (None if name == LAPTOP else _read(name or DEFAULT)) or _laptop()
    return found.url if found else LOCAL


# ---------------------------------------------------------------- profiles


def file_of(profile: str) -> Path:
    """Each profile is a file, so that two logins at the same time do not lose one another's. Raises Failure."""
    if profile == LAPTOP:
        raise Failure(Exit.USAGE, "The profile laptop is the instance of `make run`. Choose another name.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", profile):
        raise Failure(Exit.USAGE, "A profile's name has letters, digits, dots, dashes and underscores.")
    return Path(typer.get_app_dir("atrium")) / "profiles" / f"{profile}.json"


def write(profile: str, to: Place) -> Path:
    """Writes a profile, which only its owner may read. The file is replaced at once, never seen half written. Raises
    Failure."""
    path = file_of(profile)
    with _draft(path, to) as draft:
        draft.replace(path)
    return path


def rehearse(profile: str, to: Place) -> None:
    """Finds out whether a profile can be written, and writes none."""
    with _draft(file_of(profile), to):
        pass


@contextmanager
def _draft(path: Path, to: Place) -> Iterator[Path]:
    """Of a profile, beside it. Its mode is 0600 from the beginning; in the end it is gone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"url": to.url, "token": to.token}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _read(profile: str) -> Place | None:
    path = file_of(profile)
    if not path.exists():
        return None
    try:
        kept: dict[str, str] = json.loads(path.read_text())
        return Place(kept["url"], kept["token"])
    except (KeyError, TypeError, ValueError):
        raise Failure(Exit.USAGE, f"{path} is no profile. Log in again.") from None


def _laptop() -> Place | None:
    """The demo tenant's owner at the instance whose data is in DATA_DIR, or in .local here or in a folder above."""
    here = Path.cwd()
    directories = (
        [Path(given)] if (given := os.environ.get("DATA_DIR")) else [up / ".local" for up in (here, *here.parents)]
    )
    for directory in directories:
        path = directory / "dev.json"
        # A file that another user of the machine wrote into a folder above is not followed.
        if path.exists() and (not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()):
            dev: Any = json.loads(path.read_text())
            return Place(dev["base_url"], dev["tenants"]["acme"]["principals"]["owner"]["token"])
    return None
