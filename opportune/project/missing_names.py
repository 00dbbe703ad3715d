"""Advice about names that are imported from the framework, but do not exist."""

import re
import sys

from opportune.errors.suggestions import did_you_mean
from opportune.project.current import HAS_PROJECT, OPPMAN


def explain_import(error: BaseException) -> str:
    """Return the end of an error message, with similar names and the pages to read; empty for other errors."""
    match = re.search(r"^cannot import name '(\w+)' from '(opportune(?:\.\w+)*)'", str(error))
    if not match:
        return ""
    suggestion = did_you_mean(match[1], getattr(sys.modules.get(match[2]), "__all__", ()))
    pages = f" See: {OPPMAN} docs imports, or docs from-django." if HAS_PROJECT else ""  # only projects have `docs`
    return suggestion + pages
