"""Production check of the legal pages."""

import re
from collections.abc import Iterator
from pathlib import Path

from opportune.config import PROJECT, Settings
from opportune.feature import Finding

TEMPLATES = "templates/home"
PLACEHOLDER = re.compile(r"""<mark>(?:{{ _\(")?(.+?)(?:"\) }})?</mark>""", re.DOTALL)
"""A marked text, which may be translated: `<mark>Your name</mark>` or `<mark>{{ _("Your name") }}</mark>`."""


def check_legal_texts(_settings: Settings) -> Iterator[Finding]:
    return find_placeholders(PROJECT / TEMPLATES)


def find_placeholders(folder: Path) -> Iterator[Finding]:
    """Report each page that has a placeholder, with the first one."""
    for path in sorted(folder.glob("*.html")):
        if placeholder := PLACEHOLDER.search(path.read_text(encoding="utf-8")):
            text = " ".join(placeholder[1].split()).rstrip(".")
            yield Finding.warning(f"Write your own text in {TEMPLATES}/{path.name} instead of “{text}”.")
