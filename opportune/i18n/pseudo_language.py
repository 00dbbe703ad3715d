"""The pseudo-language, which shows texts that cannot be translated or lack space."""

import re
from gettext import NullTranslations

ACCENTS = str.maketrans("aeiouycnAEIOUYCN", "àéîöûýçñÀÉÎÖÛÝÇÑ")
UNCHANGED = re.compile(r"(%\(\w+\)[a-z]|%%|<[^>]*>|&\w+;|https?://\S+)")
"""Placeholders, HTML and addresses."""
FILLER = "~" * 8 + "\N{ZERO WIDTH SPACE}"
"""A word that lengthens a text. Lines can break after it."""


class PseudoTranslations(NullTranslations):
    """The pseudo-language `xx`: English with accents, lengthened by a third, in brackets.

    A text without brackets on a page is not translatable, and a cut one lacks space.
    """

    def gettext(self, message: str) -> str:
        return _lengthen(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return _lengthen(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return _lengthen(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return _lengthen(msgid1 if n == 1 else msgid2)


def _lengthen(text: str) -> str:
    if not text or (text.startswith("[") and text.endswith("]")):  # empty, or already translated
        return text
    parts = UNCHANGED.split(text)
    accented = "".join(part if index % 2 else part.translate(ACCENTS) for index, part in enumerate(parts))
    fillers, rest = divmod(len(text) // 3 + 1, FILLER.count("~"))
    return f"[{accented}{FILLER * fillers}{'~' * rest}]"
