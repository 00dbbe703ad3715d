"""Tests of a project, which still pass after its owner has edited texts.

`test_tutorial.py` edits the texts of a new project and runs its tests.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.contrib.translations.extraction import find_sources
from opportune.project.layout import PROJECT
from tests.opportune.owner_texts import owner_texts

TESTS = [path for path in sorted(PROJECT.glob("tests/*/test_*.py")) if path.parent.name != "opportune"]
WORDS = re.compile(r"[\w,.“”]+( [\w,.“”]+)+")
"""Several words without markup, which may be a part of a text."""
PLACEHOLDER = re.compile(r"%\(\w+\)\w|<[^>]*>")
NAMES_OF_MODELS = "test_admin.py"
"""The headings of the admin come from models."""


def asserted_texts(file: Path) -> set[str]:
    tree = ast.parse(file.read_bytes())
    nodes = (node for test in ast.walk(tree) if isinstance(test, ast.Assert) for node in ast.walk(test.test))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def phrases(feature: str) -> Iterator[str]:
    """Yield the parts of a feature's texts between placeholders and tags. Single words are omitted."""
    for source in find_sources():
        for message in source.extract() if source.name == feature else ():
            texts = message.id if isinstance(message.id, list | tuple) else [message.id]
            parts = [part.strip(" .,:“”") for text in texts for part in PLACEHOLDER.split(text)]
            yield from (part for part in parts if " " in part)


@pytest.mark.parametrize("folder", sorted({path.parent for path in TESTS}), ids=lambda folder: folder.name)
def test_examples_assert_no_texts_of_the_owner(folder: Path) -> None:
    texts = owner_texts(PROJECT / "templates" / folder.name) | owner_texts(PROJECT / "templates" / "home")
    texts |= {*phrases(folder.name), *phrases("home")}
    files = [path for path in TESTS if path.parent == folder and path.name != NAMES_OF_MODELS]
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(texts)))})(?!\w)")
    all_phrases = "\n".join(phrases(folder.name))
    found = [
        (path.name, text)
        for path in files
        for text in asserted_texts(path)
        if pattern.search(text) or (WORDS.fullmatch(text) and text in all_phrases)
    ]
    assert found == []
