"""Imports between packages run one way; keys and their order are defined in one place."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from atrium import keys
from local.template import ROOT

PACKAGE = ROOT / "layers/atrium/atrium"
ABOVE_STORE = ("atrium.api", "atrium.automation")

# Outside the store, and why.
WITH_THE_SDK = {
    "outbound.py": "botocore's file of every root certificate",
    "signatures.py": "the key of webhooks is KMS's",
}


def imports(path: Path) -> set[str]:
    return set(re.findall(r"^(?:from|import) (atrium[\w.]*)", path.read_text(), re.MULTILINE))


def test_imports_run_one_way() -> None:
    """functions -> api | automation -> store -> the rest, and neither of api and automation imports the other. No
    module below api knows HTTP but the one that sends webhooks, and none outside the store knows an AWS service but
    those of WITH_THE_SDK."""
    for path in PACKAGE.rglob("*.py"):
        below_api = path.relative_to(PACKAGE).parts[0] not in ("api", "automation")
        below_store = below_api and "store" not in path.relative_to(PACKAGE).parts
        text = path.read_text()
        beside = {"api": "atrium.automation", "automation": "atrium.api"}.get(path.relative_to(PACKAGE).parts[0])
        assert not (beside and any(name.startswith(beside) for name in imports(path))), path
        assert not (below_api and any(name.startswith(ABOVE_STORE) for name in imports(path))), path
        assert not (below_store and any(name.startswith("atrium.store") for name in imports(path))), path
        without_http = below_api and path != PACKAGE / "outbound.py"
        assert not (without_http and re.search(r"^(from|import) http", text, re.MULTILINE)), path
        assert not (below_api and re.search(r"^(from|import) aws_lambda_powertools", text, re.MULTILINE)), path
        with_the_sdk = (below_api and not below_store) or path.relative_to(PACKAGE).as_posix() in WITH_THE_SDK
        assert with_the_sdk or not re.search(r"^(from|import) boto", text, re.MULTILINE), path
    for path in (ROOT / "functions").rglob("*.py"):
        assert all(name.startswith(ABOVE_STORE) for name in imports(path)), path


def _names_of_the_wire() -> list[str]:
    """The names of the document's fields that no Python of ours would have by itself."""
    schemas = json.loads((ROOT / "functions/openapi.json").read_text())["components"]["schemas"]
    names = set(re.findall(r'"(\w+)": \{', json.dumps([schema.get("properties", {}) for schema in schemas.values()])))
    return [*sorted(name for name in names if re.search("[a-z][A-Z]", name)), "next_cursor", "has_more"]


# Words that belong to the rooms above the store. Names of fields in snake_case are no such words: events have them too.
WORDS = {
    "protocol": r"\bhttps?\b",
    "method": r"(?-i:\b(GET|PUT|POST|PATCH|DELETE|HEAD|OPTIONS)\b)",
    "header": r"\bheaders?\b|\bIf-(None-)?Match\b|\bIdempotency-Key\b|\bETags?\b|\bRetry-After\b|\bX-[A-Z][a-z]",
    # Round numbers are limits of much else. They count where the word stands beside them.
    "status": r"\bHTTPStatus|\bstatus_?code\b|\bstatus(es)?( of)? [1-5]\d\d\b"
    r"|\b(201|204|304|40[1349]|41[235]|422|429|50[234])\b",
    "route": r"\broutes?\b|/v1\b|/projects\b|/spaces\b|/docs\b",
    "dialect": r"\bdialects?\b|\bflat\b|\bv1\b",
    "place": r"""["'](?-i:body|path|headers?)["']""",
    "field": rf"\b({'|'.join(_names_of_the_wire())})\b|[\"']_id[\"']",
}

# Where one of the words means something else, or cannot be avoided.
EXCEPTIONS = {
    ("access_tokens.py", "header"): "the header of a JSON Web Token",
    ("issuer_keys.py", "protocol"): "an issuer's keys are fetched over HTTPS",
    ("issuer_keys.py", "method"): "an issuer's keys are fetched over HTTPS",
    ("issuer_keys.py", "header"): "an issuer's keys are fetched over HTTPS",
    ("outbound.py", "protocol"): "a webhook is sent over HTTPS",
    ("outbound.py", "method"): "a webhook is sent over HTTPS",
    ("outbound.py", "header"): "a webhook is sent over HTTPS",
    ("provisioning.py", "protocol"): "an issuer of access tokens is a URL",
    ("signatures.py", "header"): "a webhook's signature is in its headers",
    ("signatures.py", "dialect"): "the version of a signature",
    ("telemetry.py", "route"): "a line of the log is about a request as it came",
    ("telemetry.py", "status"): "a line of the log is about a request as it came",
    ("telemetry.py", "dialect"): "metrics are counted by dialect",
    ("store/engine/client.py", "place"): "botocore's own names",
    ("store/engine/client.py", "status"): "botocore's own names",
    ("store/export.py", "header"): "the media type of a file of lines",
    ("store/fsck/forms.py", "header"): "the form of a stored answer, which the check of a restored table compares",
    ("store/outbox.py", "status"): "a code of EventBridge's answers",
    ("store/redrive.py", "place"): "a message of SQS has a body",
}


def words_below_api() -> Iterator[tuple[str, str, int, str]]:
    """File, kind of word, line and word."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(("api/", "automation/")):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for kind, pattern in WORDS.items():
                if found := re.search(pattern, line, re.IGNORECASE):
                    yield name, kind, number, found[0]


def test_no_room_below_api_has_a_word_of_http_or_of_a_dialect() -> None:
    found = list(words_below_api())
    strange = [each for each in found if each[:2] not in EXCEPTIONS]
    told = "\n".join(f"{name}:{number}: {word} ({kind})" for name, kind, number, word in strange)
    assert not strange, f"Say it in words of the domain, and spell it in api or automation:\n{told}"
    unused = EXCEPTIONS.keys() - {each[:2] for each in found}
    assert not unused, f"Take these exceptions away: {unused}"


def test_only_keys_spells_a_key_or_the_end_of_a_range() -> None:
    prefixes = r"""["'](T#|KEY#|PURGE#|ROLE#|CREDENTIAL#|PROJECT#|TASK#|TASKNOTE#|EMAIL#|NAME#)"""
    ends = r"""["'](!|~|\\x7f|\\U0010ffff)["']"""
    for path in PACKAGE.rglob("*.py"):
        found = re.search(f"{prefixes}|{ends}", path.read_text())
        assert path == PACKAGE / "keys.py" or not found, f"{path}: {found}"


@pytest.mark.parametrize("kind", ["risk", "document", "meta", "phase", "deliverable"])
def test_a_kind_inside_the_range_of_others_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind.upper()}# would be read with"):
        keys.require_places((*keys.RECORDS, kind))


def test_a_kind_outside_of_every_range_has_a_place() -> None:
    kinds = (*keys.RECORDS, "assumption", "goal", "workshop")
    keys.require_places(kinds)
    pk = keys.project("t" * 24, "p" * 24).pk
    spans = [keys.whole_project(pk), keys.members_and_tasks(pk), keys.report(pk)]
    rows = [keys.records(kind) + "f" * 24 for kind in kinds]
    read = [[row for row in rows if span.first <= row <= span.last] for span in spans]
    tasks, datasets, experiments, decisions, *_ = rows
    assert read == [[tasks], [tasks], [datasets, experiments, decisions]]


def test_notes_are_in_no_range_but_their_tasks() -> None:
    pk = keys.project("t" * 24, "p" * 24).pk
    note = keys.notes("f" * 24) + "f" * 24
    spans = [keys.whole_project(pk), keys.members_and_tasks(pk), keys.report(pk), keys.beginning(pk, keys.TASK)]
    assert not any(span.first <= note <= span.last for span in spans)
    assert keys.beginning(pk, keys.notes("f" * 24)).last > note > keys.beginning(pk, keys.notes("f" * 24)).first
