"""An issuer of access tokens on this machine, to try them without an external one.

Each data directory has one key. The running instance fetches the public part by HTTP, as from a real issuer; `make
token` signs with the private part.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import RSAAlgorithm

from atrium.access_tokens import ALGORITHM, MAX_LIFETIME
from local.directory import data_directory, write_privately
from local.loopback import Handler, listening

# The same name on every machine, since the identities of the demo principals contain it. No server has this address.
ISSUER = "https://issuer.atrium.example"
AUDIENCE = "atrium"


class Issuer:
    """Signs access tokens with the key of a data directory."""

    def __init__(self, directory: Path) -> None:
        path = directory / "issuer.json"
        if not path.exists():
            write_privately(path, {"kid": os.urandom(8).hex(), "key": _new_key()})
        kept = json.loads(path.read_text())
        self._kid: str = kept["kid"]
        self._key: Any = load_pem_private_key(kept["key"].encode(), None)

    def token(self, subject: str, **claims: Any) -> str:
        """A token about a subject, valid for an hour; `claims` replace or extend its claims."""
        now = int(time.time())
        said = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + MAX_LIFETIME, **claims}
        return jwt.encode(said, self._key, ALGORITHM, headers={"typ": "at+jwt", "kid": self._kid})

    @property
    def jwks(self) -> str:
        """The JWKS document with the public key."""
        key = {**RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True), "kid": self._kid, "use": "sig"}
        return json.dumps({"keys": [key]})


@contextmanager
def jwks_served(issuer: Issuer) -> Iterator[str]:
    """Serves the issuer's JWKS document on a free port of the loopback; yields its URL."""

    class Jwks(Handler):
        def answer(self) -> None:
            self.reply(200, issuer.jwks.encode(), Content_Type="application/jwk-set+json")

    with listening(Jwks, "issuer") as url:
        yield f"{url}/jwks.json"


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def main() -> None:
    """`make token`."""
    (subject,) = sys.argv[1:]
    directory = data_directory()
    if not (directory / "issuer.json").exists():
        sys.exit(f"There is no issuer in {directory}. Start one: make run")
    print(Issuer(directory).token(subject))


if __name__ == "__main__":
    main()
