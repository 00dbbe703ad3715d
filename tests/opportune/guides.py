"""Code of the guides in `docs`, which tests run."""

import re
from typing import Any

from opportune.project.layout import PROJECT


def read_guide(name: str) -> str:
    return (PROJECT / "docs" / name).read_text(encoding="utf-8")


def code_blocks(text: str, language: str = "python") -> list[str]:
    """Return the code blocks of a guide in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_code(*blocks: str, **names: Any) -> dict[str, Any]:
    """Run code blocks, which may use these names, and return all names with those that they define."""
    for block in blocks:
        exec(block, names)  # noqa: S102 - our documentation
    return names
