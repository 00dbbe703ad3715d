"""Table, code and names of docs/async.md."""

import json
import re
import subprocess
import sys
from pathlib import Path

from opportune.project.layout import PROJECT
from tests.opportune.guides import code_blocks, read_guide, run_code

GUIDE = read_guide("async.md")
ROWS = re.findall(r"^\| `(.+?)` \| (?:`(.+?)`)?.*? \| (ASYNC\d+)? *\|$", GUIDE, re.MULTILINE)
IMPORTS = """\
import asyncio, httpx2, os, queue, requests, smtplib, subprocess, threading, time, urllib.request
from pathlib import Path
"""


def findings(statements: list[str]) -> list[str]:
    """Return Ruff's code for each statement in an `async def`, with the project's configuration, also for tests."""
    code = IMPORTS + "".join(f"async def f{number}():  {line}\n" for number, line in enumerate(statements))
    options = "-m ruff check --output-format json --stdin-filename tests/test_guide.py -"
    command = [sys.executable, *options.split()]
    output = subprocess.run(command, input=code, cwd=PROJECT, capture_output=True, text=True, check=False).stdout
    findings = [finding for finding in json.loads(output) if "ASYNC" in (finding["code"] or "")]
    codes = {finding["location"]["row"]: finding["code"] for finding in findings}
    first_line = IMPORTS.count("\n") + 1
    return [codes.get(first_line + number, "") for number in range(len(statements))]


def test_ruff_reports_the_calls_of_the_table() -> None:
    assert len(ROWS) > 10
    blocking, advice, codes = (list(column) for column in zip(*ROWS, strict=True))
    assert findings([*blocking, *filter(None, advice)]) == codes + [""] * len([*filter(None, advice)])


async def test_example_runs(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("three plain words", encoding="utf-8")
    (block,) = code_blocks(GUIDE)
    names = run_code(block)
    words_in = names["words_in"]
    assert callable(words_in)
    assert await words_in(tmp_path / "text") == 3
