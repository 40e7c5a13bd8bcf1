"""Forged access tokens: what people have tried on token verifiers, by hand (RFC 8725, and what broke since)."""

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from local.issuer import AUDIENCE, ISSUER, Issuer

OWNER = "owner@acme.example"


class Forge:
    """Makes tokens like the issuer's but for what it is told; `None` leaves a member out."""

    def __init__(self, issuer: Issuer | None = None, kid: str = "k") -> None:
        self.key = issuer._key if issuer else rsa.generate_private_key(65_537, 2_048)
        self.kid = issuer._kid if issuer else kid

    def __call__(
        self,
        *,
        header: Mapping[str, Any] | str | bytes | None = None,
        claims: Mapping[str, Any] | str | bytes | None = None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> str:
        now = int(time.time())
        head = part(header, {"alg": "RS256", "typ": "at+jwt", "kid": self.kid})
        body = part(claims, {"iss": ISSUER, "aud": AUDIENCE, "sub": OWNER, "iat": now, "exp": now + 300})
        signed = f"{encoded(head)}.{encoded(body)}".encode()
        return f"{signed.decode()}.{encoded((sign or self.rs256)(signed))}"

    def rs256(self, signed: bytes) -> bytes:
        return RSAAlgorithm(RSAAlgorithm.SHA256).sign(signed, self.key)


def part(given: Mapping[str, Any] | str | bytes | None, otherwise: dict[str, Any]) -> bytes:
    if isinstance(given, bytes):
        return given
    if isinstance(given, str):
        return given.encode()
    whole = otherwise | dict(given or {})
    return json.dumps({name: resolved(value) for name, value in whole.items() if value is not None}).encode()


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


Attack = Callable[[Forge], str]


@dataclass(frozen=True)
class At:
    """A moment, in seconds from when the token is made; `form` is how it is written."""

    seconds: float
    form: Callable[[float], Any] = int

    def __repr__(self) -> str:
        return f"now {self.seconds:+} as {self.form.__name__}"


def resolved(value: Any) -> Any:
    if isinstance(value, At):
        return value.form(time.time() + value.seconds)
    return [resolved(item) for item in value] if isinstance(value, list) else value


def raw_header(text: str) -> Attack:
    return lambda forge: forge(header=text.replace("KID", forge.kid))


def raw_claims(text: str) -> Attack:
    def attack(forge: Forge) -> str:
        now = int(time.time())
        return forge(claims=text.replace("NOW", str(now)).replace("LATER", str(now + 300)))

    return attack


def with_header(**changes: Any) -> Attack:
    return lambda forge: forge(header=changes)


def with_claims(**changes: Any) -> Attack:
    return lambda forge: forge(claims=changes)


def unsigned(**changes: Any) -> Attack:
    return lambda forge: forge(header=changes, sign=lambda _: b"")


def hmac_with(secret: Callable[[Forge], bytes], alg: str = "HS256") -> Attack:
    """The public key as the secret of a symmetric algorithm: the oldest trick."""
    digest = {"HS256": "sha256", "HS512": "sha512"}[alg]

    def attack(forge: Forge) -> str:
        return forge(header={"alg": alg}, sign=lambda signed: hmac.digest(secret(forge), signed, digest))

    return attack


def pem(forge: Forge) -> bytes:
    return bytes(forge.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def signed_with(alg: str, key: Any = None) -> Attack:
    """By another algorithm; without a key, with the issuer's own."""

    def attack(forge: Forge) -> str:
        algorithm: Any = jwt.get_algorithm_by_name(alg)
        return forge(header={"alg": alg}, sign=lambda signed: bytes(algorithm.sign(signed, key or forge.key)))

    return attack


def altered(change: Callable[[str, str, str], str]) -> Attack:
    """A good token whose text is changed."""
    return lambda forge: change(*forge().split("."))


def last_bits(part: str) -> str:
    """Another spelling of the same bytes: the bits of the last digit that say nothing are set."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4 in (2, 3)
    return part[:-1] + digits[digits.index(part[-1]) | 1]


def padded_to(part_length: int) -> Attack:
    """A header whose part has spare bits, so that it has another spelling."""

    def attack(forge: Forge) -> str:
        token = forge()
        for blanks in range(3):
            token = forge(header=json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": forge.kid}) + " " * blanks)
            if len(token.split(".")[0]) % 4 == part_length:
                break
        head, body, signature = token.split(".")
        return f"{last_bits(head)}.{body}.{signature}"

    return attack


OTHER = Forge(kid="other")
ATTACKS: dict[str, Attack] = {
    # the algorithm
    **{f"alg {name!r}": unsigned(alg=name) for name in ("none", "None", "NONE", "noNE", "")},
    **{
        f"alg {name!r} with a good signature": with_header(alg=name)
        for name in ("rs256", "RS256 ", "RS384", "HS256", "none", ["RS256"], 256, True)
    },
    "alg missing": with_header(alg=None),
    "alg null": raw_header('{"alg":null,"typ":"at+jwt","kid":"KID"}'),
    "HMAC with the public key in PEM": hmac_with(pem),
    "HMAC with the modulus": hmac_with(lambda f: str(f.key.public_key().public_numbers().n).encode()),
    "HMAC with nothing": hmac_with(lambda f: b""),
    "HMAC with the name of the key": hmac_with(lambda f: f.kid.encode(), "HS512"),
    "the right key, RS384": signed_with("RS384"),
    "the right key, RS512": signed_with("RS512"),
    "the right key, PS256": signed_with("PS256"),
    "a key on a curve": signed_with("ES256", ec.generate_private_key(ec.SECP256R1())),
    "an Edwards key": signed_with("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    # the header
    "typ missing": with_header(typ=None),
    "typ of an ID token": with_header(typ="JWT"),
    "typ of something else": with_header(typ="at+jwt+x"),
    "typ a number": with_header(typ=1),
    "typ a list": with_header(typ=["at+jwt"]),
    "kid missing": with_header(kid=None),
    "kid of nobody": with_header(kid="nobody"),
    "kid empty": with_header(kid=""),
    "kid a number": with_header(kid=1),
    "kid a list": lambda f: f(header={"kid": [f.kid]}),
    "kid a path": with_header(kid="../../../../dev/null"),
    "kid a query": with_header(kid="' OR 1=1 --"),
    "kid a URL": with_header(kid="https://evil.example/jwks.json"),
    "kid with NUL": lambda f: f(header={"kid": f"{f.kid}\0"}),
    "kid of 2,000 characters": with_header(kid="x" * 2_000),
    **{
        f"header with {name}": with_header(**{name: value})
        for name, value in {
            "jku": "https://evil.example/jwks.json",
            "x5u": "https://evil.example/cert.pem",
            "x5c": ["MIIB"],
            "x5t": "x",
            "crit": ["exp"],
            "b64": False,
            "cty": "JWT",
            "zip": "DEF",
            "enc": "A256GCM",
            "nonce": "x",
        }.items()
    },
    "header with empty crit": with_header(crit=[]),
    "a key in the header": lambda f: OTHER(
        header={"kid": f.kid, "jwk": RSAAlgorithm.to_jwk(OTHER.key.public_key(), as_dict=True)}
    ),
    "alg twice": raw_header('{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"KID"}'),
    "kid twice": raw_header('{"alg":"RS256","typ":"at+jwt","kid":"x","kid":"KID"}'),
    "header an array": raw_header('["RS256","at+jwt","KID"]'),
    "header a string": raw_header('"RS256"'),
    "header no JSON": raw_header("RS256"),
    "header with a tail": raw_header('{"alg":"RS256","typ":"at+jwt","kid":"KID"}x'),
    "header in UTF-16": lambda f: f(
        header=json.dumps({"alg": "RS256", "typ": "at+jwt", "kid": f.kid}).encode("utf-16")
    ),
    "header with a byte order mark": raw_header('\ufeff{"alg":"RS256","typ":"at+jwt","kid":"KID"}'),
    "header not UTF-8": lambda f: f(header=b'{"alg":"RS256","typ":"at+jwt","kid":"\xff"}'),
    "header with a lone surrogate": raw_header('{"alg":"RS256","typ":"at+jwt","kid":"\\ud800"}'),
    "header of 500 levels": lambda f: f(header='{"alg":' * 500 + "1" + "}" * 500),
    # the signature
    "somebody else's key under the issuer's name": lambda f: OTHER(header={"kid": f.kid}),
    "somebody else's key": lambda f: OTHER(),
    "no signature": altered(lambda h, b, s: f"{h}.{b}."),
    "half a signature": altered(lambda h, b, s: f"{h}.{b}.{s[: len(s) // 2]}"),
    "a longer signature": altered(lambda h, b, s: f"{h}.{b}.{s}AAAA"),
    "a signature of zeros": lambda f: f(sign=lambda _: bytes(256)),
    "a signature of ones": lambda f: f(sign=lambda _: b"\x01" * 256),
    "the signature of another token": lambda f: ".".join(
        [*f(claims={"sub": "viewer@acme.example"}).split(".")[:2], f().split(".")[2]]
    ),
    "the signature over the claims alone": lambda f: f(sign=lambda signed: f.rs256(signed.split(b".")[1])),
    "claims changed after signing": altered(
        lambda h, b, s: f"{h}.{encoded(urlsafe_b64decode(b + '==').replace(b'owner', b'viewer'))}.{s}"
    ),
    # the form
    "padding": altered(lambda h, b, s: f"{h}.{b}.{s}=="),
    "padding of the header": altered(lambda h, b, s: f"{h}=.{b}.{s}"),
    "the standard alphabet": altered(lambda h, b, s: f"{h}.{b}.{s[:-2]}+/"),
    "another spelling of the signature": altered(lambda h, b, s: f"{h}.{b}.{last_bits(s)}"),
    "another spelling of the header": padded_to(2),
    "another spelling of the header, by two bits": padded_to(3),
    "two parts": altered(lambda h, b, s: f"{h}.{b}"),
    "four parts": altered(lambda h, b, s: f"{h}.{b}.{s}.{s}"),
    "five parts, as if encrypted": altered(lambda h, b, s: f"{h}.{b}.{s}.{s}.{s}"),
    "an empty header": altered(lambda h, b, s: f".{b}.{s}"),
    "no claims": altered(lambda h, b, s: f"{h}..{s}"),
    "the JSON form": altered(lambda h, b, s: json.dumps({"protected": h, "payload": b, "signature": s})),
    "in quotes": altered(lambda h, b, s: f'"{h}.{b}.{s}"'),
    "in braces": altered(lambda h, b, s: f"{{{h}.{b}.{s}}}"),
    "a blank inside": altered(lambda h, b, s: f"{h}. {b}.{s}"),
    "a tab inside": altered(lambda h, b, s: f"{h}.\t{b}.{s}"),
    "twice": altered(lambda h, b, s: f"{h}.{b}.{s}{h}.{b}.{s}"),
    "over 4 KB": with_claims(x="y" * 4_096),
    "100 KB": with_claims(x="y" * 100_000),
    # the claims
    **{f"{name} missing": with_claims(**{name: None}) for name in ("iss", "aud", "sub", "exp", "iat")},
    **{
        f"{name} is {value!r}": with_claims(**{name: value})
        for name, values in {
            "iss": ["https://evil.example", ISSUER + "/", ISSUER.upper(), [ISSUER], 1, "", True],
            "aud": ["other", AUDIENCE + "2", AUDIENCE.upper(), "", [], ["other"], [[AUDIENCE]], 1, {AUDIENCE: 1}, True],
            "sub": [
                "",
                1,
                True,
                [OWNER],
                {"a": 1},
                "x" * 256,
                "a\nb\0",
                "nobody@acme.example",
                OWNER.upper(),
                OWNER + " ",
            ],
            "exp": [
                At(-31),
                At(-86_400),
                0,
                -1,
                At(300, str),
                At(300.5, float),
                1e308,
                253_402_300_799,
                True,
                [At(300)],
                "x",
                "",
            ],
            "iat": [At(600), At(-7_200), -1, At(0, str), At(-0.5, float), True, [At(0)], 1e308, "x"],
            "nbf": [At(600), "x", 1e308, [At(0)]],
        }.items()
        for value in values
    },
    "iss null": raw_claims(f'{{"iss":null,"aud":"{AUDIENCE}","sub":"{OWNER}","iat":NOW,"exp":LATER}}'),
    "sub twice": raw_claims(f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"x","sub":"{OWNER}","iat":NOW,"exp":LATER}}'),
    "exp NaN": raw_claims(f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{OWNER}","iat":NOW,"exp":NaN}}'),
    "exp Infinity": raw_claims(f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{OWNER}","iat":NOW,"exp":Infinity}}'),
    "exp 1e999": raw_claims(f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{OWNER}","iat":NOW,"exp":1e999}}'),
    "exp of 5,000 digits": raw_claims(
        f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{OWNER}","iat":NOW,"exp":{"9" * 2_000}}}'
    ),
    "a life of two hours": with_claims(iat=At(0), exp=At(7_200)),
    "a life that ends before it begins": with_claims(iat=At(25), exp=At(20)),
    **{
        f"bound to a key of its client, by {text}": with_claims(cnf=json.loads(text))
        for text in ('{"jkt": "0ZcOCORZNYy"}', '{"x5t#S256": "bwcK0esc3AC"}', '{"jwk": {}}', "{}", '""', "true")
    },
    "cnf null": raw_claims(f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"{OWNER}","iat":NOW,"exp":LATER,"cnf":null}}'),
    "claims an array": raw_claims("[1]"),
    "claims no JSON": raw_claims("owner"),
    "claims not UTF-8": lambda f: f(claims=b'{"sub":"\xff"}'),
    "claims of 500 levels": raw_claims('{"a":' * 500 + "1" + "}" * 500),
}
