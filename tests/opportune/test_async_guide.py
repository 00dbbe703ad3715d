"""docs/async.md says what is so: its table is what Ruff finds, its code runs, its names exist."""

import json
import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

from opportune.config.project import PROJECT

GUIDE = (PROJECT / "docs" / "async.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (?:`(.+?)`)?.*? \| (ASYNC\d+)? *\|$", GUIDE, re.MULTILINE)
IMPORTS = """\
import asyncio, httpx, os, queue, requests, smtplib, subprocess, threading, time, urllib.request
from pathlib import Path
"""


def findings(statements: list[str], file: str = "app/guide.py") -> list[str]:
    """What Ruff, with the project's own settings, says of each inside an `async def`."""
    code = IMPORTS + "".join(f"async def f{number}():  {line}\n" for number, line in enumerate(statements))
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "json", "--stdin-filename", file, "-"]
    found = subprocess.run(command, input=code, cwd=PROJECT, capture_output=True, text=True, check=False).stdout
    codes = {fault["location"]["row"]: fault["code"] for fault in json.loads(found) if "ASYNC" in (fault["code"] or "")}
    first = IMPORTS.count("\n") + 1
    return [codes.get(first + number, "") for number in range(len(statements))]


def test_ruff_finds_what_the_table_says_and_nothing_in_what_it_advises() -> None:
    assert len(ROWS) > 10
    blocking, advice, codes = (list(column) for column in zip(*ROWS, strict=True))
    assert findings([*blocking, *filter(None, advice)]) == codes + [""] * len([*filter(None, advice)])


async def test_its_code_runs(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("three plain words", encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(block, names)  # noqa: S102 - the guide's own
    words_in = names["words_in"]
    assert callable(words_in)
    assert await words_in(tmp_path / "text") == 3


@pytest.mark.parametrize("name", sorted({*re.findall(r"\bopportune(?:\.[a-z_]+)+", GUIDE)}))
def test_its_names_exist(name: str) -> None:
    assert resolve_name(name)


def test_ruff_reads_tests_as_well() -> None:
    assert findings(["time.sleep(1)"], "tests/test_guide.py") == ["ASYNC251"]
