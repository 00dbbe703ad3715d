"""Pointers to the documentation in a project, which has no folder `docs`."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from opportune.cli.project.shared_files import FOLDERS
from opportune.contrib.documentation.content import page_names
from opportune.project.layout import FRAMEWORK, PROJECT

FILE = re.compile(r"(?<![\w.])docs/(?!changelog)[\w/-]+\.md\b")  # the wheel has the changelog
PAGE = re.compile(r"(?<!`)oppman\.py docs ((?:deploy/)?[a-z]+(?:-[a-z]+)*)\b(?!/?\{)")
WORDS = ("foreign", "words")
"""Words of examples that search the documentation."""
TEXT_FILES = (".html", ".md", ".py", ".sh", ".tmpl", ".toml", ".txt", ".yaml", ".yml")
SHARED = ("pyproject.toml", ".agents", "compose.yaml", "Dockerfile", ".env.example")


def files_of_projects() -> Iterator[Path]:
    """Yield the files that projects get, and those whose text or output they see."""
    parts = [*FOLDERS, *SHARED, FRAMEWORK.name]
    command = ["git", "ls-files", "-z", "--", *parts, ":!tests/opportune"]
    names = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split("\0")
    paths = (PROJECT / name for name in names if name)
    return (path for path in paths if path.is_file() and (path.suffix in TEXT_FILES or path.name in SHARED))


def test_no_file_of_a_project_names_a_file_in_docs() -> None:
    outdated = {path: FILE.findall(path.read_text(encoding="utf-8")) for path in files_of_projects()}
    assert {path: pointers for path, pointers in outdated.items() if pointers} == {}


def test_pointers_name_pages_of_the_documentation() -> None:
    texts = (path.read_text(encoding="utf-8") for path in files_of_projects())
    pages = {page for text in texts for page in PAGE.findall(text)}
    assert pages - {*page_names(), *WORDS, "deploy"} == set()
    assert "crud" in pages
