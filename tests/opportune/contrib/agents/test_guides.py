"""Guides for coding agents in `.agents/skills`. `test_snippets.py` checks the types of their code."""

import re
from pathlib import Path

import pytest

from opportune.cli.call import find_command
from opportune.contrib.documentation.content import page_names
from opportune.project.layout import PROJECT

GUIDES = sorted((PROJECT / ".agents/skills").glob("*/SKILL.md"))
COMMAND = re.compile(r"oppman\.py ([a-z]+[^\n`#]*)")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.parent.name)
def test_commands_and_pages_of_guide_exist(guide: Path) -> None:
    for line in COMMAND.findall(guide.read_text(encoding="utf-8")):
        words = line.split()
        options = {name for option in find_command(words).params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}
        assert words[0] != "docs" or words[1] in page_names()
