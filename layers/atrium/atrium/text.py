"""The types of text fields: names, texts, ids in the form of a UUID, and JSON documents."""

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from atrium import documents
from atrium.ids import SENT_UUID, from_uuid

MAX_NAME = 200
MAX_TEXT = 10_000

# RFC 5321, 4.5.3.1.3, without the angle brackets; in UTF-8 still a sort key of less than 1,024 bytes.
MAX_EMAIL = 254

# Characters of a name that are searched, and words in a principal's name. Each word is a row of its own in the
# transaction that makes the principal, and in the one that gives it another name, beside each word of the old one.
MAX_SEARCHED = 100
MAX_WORDS = 40

MAX_EXTERNAL_ID = 200

# Names are shown on one line next to other text, so they hold no line breaks and no characters that reorder text.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Categories of Unicode that are invisible by themselves: blanks, controls, formats, and combining marks.
_UNSEEN = frozenset(("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Mn", "Me"))
# Invisible characters that Unicode counts as letters and symbols, and code points it reserves for ignored characters.
_FILLERS = re.compile("[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U0001d159\U000e0000-\U000e0fff]")


def is_blank(text: str) -> bool:
    """Whether a text is invisible. An emoji with joiners and selectors is visible."""
    return all(unicodedata.category(each) in _UNSEEN or _FILLERS.match(each) for each in text)


def name_problem(text: str) -> tuple[str, str] | None:
    """The reason why a trimmed text is no name, None if it is one: a word for programs and a sentence for people."""
    if is_blank(text):
        return "string_too_short", "Must not be empty"
    if len(text) > MAX_NAME:
        return "string_too_long", f"Must have at most {MAX_NAME} characters"
    if _NOT_IN_NAMES.search(text):
        return "string_control", "Must not hold line breaks, control or bidirectional characters"
    return None


def _name(text: str) -> str:
    text = text.strip()
    if problem := name_problem(text):
        raise PydanticCustomError(*problem)
    return text


def _given(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("string_too_short", "Must not be empty")
    return text


# Patterns for JSON Schema, of names, texts and every string of a document that is sent (atrium.documents). They are
# limited to the syntax that the regular expressions of all languages share, so they accept more than the check does.
_CONTROL, _BREAK = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f", r"\x00-\x1f\x7f-\x9f"
ANY_TEXT = {"type": "string", "pattern": rf"^[^{_CONTROL}]*$"}
_A_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_NAME,
    "pattern": rf"^\s*[^\s{_BREAK}]([^{_BREAK}]*[^\s{_BREAK}])?\s*$",
}
_A_TEXT = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TEXT,
    "pattern": rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$",
}

# 1 to 200 characters on one line, trimmed, something visible among them.
Name = Annotated[str, Strict(), AfterValidator(_name), WithJsonSchema(_A_NAME)]

# Up to 10,000 characters; of a required one, something visible.
OptionalText = Annotated[str, Strict(), Field(max_length=MAX_TEXT), WithJsonSchema({**ANY_TEXT, "maxLength": MAX_TEXT})]
Text = Annotated[OptionalText, AfterValidator(_given), WithJsonSchema(_A_TEXT)]


def _uuid(text: str) -> str:
    try:
        return from_uuid(text)
    except ValueError:
        example = "64a1f2c3-b4e5-8000-8000-d6f7a8b9c0d1"
        raise PydanticCustomError("uuid_parsing", f"Must be an id that is a UUID, such as {example}") from None


# An id, sent as a UUID and kept as its 24 digits.
Uuid = Annotated[
    str,
    AfterValidator(_uuid),
    WithJsonSchema({"type": "string", "format": "uuid", "pattern": f"^{SENT_UUID}$"}),
]


def _document(value: Any) -> str:
    if not isinstance(value, dict | str | None):
        raise PydanticCustomError("description_type", "Must be an object, a string or null")
    return documents.Raw(documents.render(value))


# An object, a string or null, kept as JSON text, so that it comes back as it was sent.
Document = Annotated[Any, AfterValidator(_document)]


def _words(text: str) -> list[str]:
    """The words of a text as they are compared: without case, accents and invisible characters."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(each for each in plain if unicodedata.category(each) not in ("Mn", "Me", "Cf")).split()


def searched(text: str) -> str:
    """A text as names are searched for it: its words, separated by one blank."""
    return " ".join(_words(text))[:MAX_SEARCHED]


def _long_enough(text: str) -> str:
    if len(searched(text)) < 2 or len(text.strip()) > MAX_SEARCHED:
        raise PydanticCustomError("search", f"Must have 2 to {MAX_SEARCHED} characters")
    return text


# The beginning of what is searched for.
Beginning = Annotated[
    str,
    AfterValidator(_long_enough),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 2,
            "maxLength": MAX_SEARCHED,
            "pattern": rf"^\s*\S[\s\S]{{0,{MAX_SEARCHED - 2}}}\S\s*$",
        }
    ),
]


def findable(name: str) -> list[str]:
    """The texts under which a name is found: from each of its words to the end."""
    words = _words(name)
    return list(dict.fromkeys(" ".join(words[place:])[:MAX_SEARCHED] for place in range(len(words))))


def address(email: str) -> str:
    """An e-mail address as addresses are compared: trimmed, in lower case, and its domain in readable characters, so
    that `xn--mnchen-3ya.de` and `münchen.de` are the same (RFC 5890). Accents count."""
    local, at, domain = _folded(email.strip()).rpartition("@")
    # The full stop of ideographic scripts separates labels too.
    return local + at + ".".join(map(_readable, domain.replace("\u3002", ".").split(".")))


def _sought(email: str) -> str:
    # Counted as it is compared: folding its case may make one character several.
    if len(address(email)) > MAX_EMAIL:
        raise PydanticCustomError("string_too_long", f"Must have at most {MAX_EMAIL} characters")
    return email


# An e-mail address that is looked for, in any case. A text that is no address is not found.
SoughtEmail = Annotated[str, Strict(), Field(max_length=MAX_EMAIL), AfterValidator(_sought)]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def _person(name: str) -> str:
    if len(findable(name)) > MAX_WORDS:
        raise PydanticCustomError("too_long", f"Must have at most {MAX_WORDS} words")
    return name


def _email(text: str) -> str:
    text = text.strip()
    parts = text.split("@")
    if len(parts) != 2 or any(is_blank(part) or re.search(r"\s", part) for part in parts):
        raise PydanticCustomError("email", "Must be an e-mail address")
    if max(len(text), len(address(text))) > MAX_EMAIL:
        raise PydanticCustomError("string_too_long", f"Must have at most {MAX_EMAIL} characters")
    return text


def _external_id(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("string_too_short", "Must not be empty")
    if len(text) > MAX_EXTERNAL_ID:
        raise PydanticCustomError("string_too_long", f"Must have at most {MAX_EXTERNAL_ID} characters")
    if any(unicodedata.category(each)[0] in "ZC" or _FILLERS.match(each) for each in text):
        raise PydanticCustomError("string_invisible", "Must not hold blanks or invisible characters")
    return text


# The name of a principal, and its e-mail address as it was written: `address` gives it as addresses are compared.
PersonName = Annotated[Name, AfterValidator(_person)]
Email = Annotated[
    str,
    Strict(),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "minLength": 3, "maxLength": MAX_EMAIL, "pattern": r"^\s*[^\s@]+@[^\s@]+\s*$"}),
]

# The name that another system has for a principal: 1 to 200 visible characters, compared as they are.
ExternalId = Annotated[
    str,
    Strict(),
    AfterValidator(_external_id),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": MAX_EXTERNAL_ID, "pattern": rf"^[^\s{_BREAK}]+$"},
    ),
]


def _readable(label: str) -> str:
    try:
        shown = _folded(label.removeprefix("xn--").encode("ascii").decode("punycode"))
        # A label may begin with xn-- without being encoded; and a lone surrogate is no text.
        same = f"xn--{shown.encode('punycode').decode()}" == label and shown.encode()
    except (ValueError, OverflowError):
        return label
    return shown if same else label
