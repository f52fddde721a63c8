"""What a name may be, and when two names are the same. Used for projects, keys and people."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.text import slugify

from config.redaction import holds_token

NAME_LENGTH: Final = 100

# Of a slug made from a name; the number that makes it unique comes on top.
_STEM_LENGTH: Final = 40

# Cc: control; Cf: zero-width, bidirectional and other format characters; Cs, Co, Cn: no text at all;
# Zl, Zp: line and paragraph separators. U+200C and U+200D are refused with them: they make two names
# look alike.
_FORBIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Marks and letters by category that show nothing either: the grapheme joiner, Hangul fillers, Khmer
# inherent vowels, Mongolian selectors, the empty Braille pattern.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800")
# Only a font's choice between two pictures of the same character; a phone's keyboard sends them with
# emoji. Taken out, not refused.
_VARIATION_SELECTOR: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def clean_name(text: str) -> str:
    """Return `text` in NFKC with single blanks.

    Raises ValidationError where it is empty, longer than 100 characters, holds a character that can't
    be seen, or holds a token.
    """
    name = " ".join(_normalised(text, keep="").split())
    if not name:
        raise ValidationError("Enter a name.", code="required")
    if len(name) > NAME_LENGTH:
        raise ValidationError(f"Use {NAME_LENGTH} characters or fewer.", code="max_length")
    return name


def clean_text(text: str) -> str:
    """Return free text (a note, a reason) in NFKC, line breaks kept.

    Raises ValidationError where it holds a character that can't be seen, or a token.
    """
    return _normalised(text.replace("\r\n", "\n"), keep="\n\t").strip()


def fold(name: str) -> str:
    """Return the form in which names are compared: NFKC, case folded.

    Folded here and not in SQL, so that SQLite and PostgreSQL agree on what is the same.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def free_slug(
    name: str, rows: "models.QuerySet[Any]", *, otherwise: str, reserved: Iterable[str] = ()
) -> str:
    """Return the first of `acme`, `acme-2`, `acme-3`, … that none of the rows has. One query.

    `rows` are all that ever were, those that have ended too: a slug is never used again. `otherwise` is for
    a name without a letter or digit that a slug can hold.
    """
    stem = slugify(name)[:_STEM_LENGTH].strip("-_").replace("_", "-") or otherwise
    taken = {*reserved, *rows.filter(slug__startswith=stem).values_list("slug", flat=True)}
    number, slug = 1, stem
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug


def _normalised(text: str, *, keep: str) -> str:
    if holds_token(text):
        raise ValidationError(
            "That looks like an API key. Keys don't belong here: nobody should be able to read it.",
            code="token",
        )
    normal = unicodedata.normalize("NFKC", _VARIATION_SELECTOR.sub("", text))
    if any(_is_unseen(char) and char not in keep for char in normal):
        raise ValidationError(
            "Use letters, digits, blanks and punctuation that can be seen.", code="characters"
        )
    return normal


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _FORBIDDEN or char in _BLANK


class CodepointField(models.CharField):  # type: ignore[type-arg]
    """A CharField compared by code point on both databases.

    SQLite compares so anyway; PostgreSQL is told to (`COLLATE "C"`), whatever the cluster's locale, so
    that ranges, prefixes and the order of names come out the same.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters
