"""`shell`: available names, awaited code and transactions."""

import io
import re
import shlex
import sys

import pytest

from opportune.cli.development import shell
from opportune.config import PROJECT, Settings, installed_features
from tests.opportune.cli.conftest import Oppman

CREATE = "from sqlalchemy import text; await session.execute(text('create table t (x int)'))"


@pytest.fixture(autouse=True)
def _shell_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "get_settings", lambda: settings)


def test_code_may_await_and_import(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import math\nawait asyncio.sleep(0)\nprint(await session.scalar(select(math.ceil(41.5))))"
    assert oppman("shell", "-c", code) == (0, "42\n", "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("for x in range(2):\n    print(await asyncio.sleep(0, x))\n"))
    assert oppman("shell") == (0, "0\n1\n", "")


def test_all_models_are_imported(oppman: Oppman) -> None:
    models = [model.__name__ for feature in installed_features() for model in feature.models]
    assert oppman("shell", "-c", f"print({', '.join(models)})").out.count("<class") == len(models)


def test_only_committed_changes_are_saved(oppman: Oppman) -> None:
    codes = [CREATE, f"{CREATE}; await session.commit()", CREATE]
    assert [oppman("shell", "-c", code).code for code in codes] == [0, 0, 1]


def test_commit_queues_jobs(oppman: Oppman) -> None:
    queue = "from opportune.jobs import defer; from opportune.jobs.stored_files import delete_files"
    assert oppman("shell", "-c", f"{queue}; defer(session, delete_files([])); await session.commit()").code == 0
    names = oppman("shell", "-c", "print(*[job.name for job in await session.scalars(select(Job))])").out
    assert "jobs.delete_files" in names.split()


def test_documented_examples_run(oppman: Oppman) -> None:
    examples = re.findall(r"^python3 oppman\.py (shell .+)$", (PROJECT / "docs/commands.md").read_text(), re.MULTILINE)
    assert examples
    for example in examples:
        outcome = oppman(*shlex.split(example))
        assert outcome.code == 0, outcome.err
