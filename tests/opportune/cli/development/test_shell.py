"""`shell`: available names, awaited code and transactions."""

import io
import re
import shlex
import sys
from collections.abc import Awaitable, Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from opportune.cli.development import shell
from opportune.cli.main import main
from opportune.config.settings import Settings
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import Oppman

CREATE = "from sqlalchemy import text; await session.execute(text('create table t (x int)'))"


@pytest.fixture(autouse=True)
def _shell_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "get_settings", lambda: settings)


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("await asyncio.sleep(0)\nprint(await session.scalar(select(41 + 1)))", "42\n"),
        ("import datetime; print(datetime.date.today() > datetime.date.min)", "True\n"),
    ],
)
def test_code_may_await_and_import(oppman: Oppman, code: str, output: str) -> None:
    assert oppman("shell", "-c", code) == (0, output, "")


def test_all_models_are_imported(oppman: Oppman) -> None:
    models = [model.__name__ for feature in installed_features() for model in feature.models]
    assert oppman("shell", "-c", f"print({', '.join(models)})").out.count("<class") == len(models)


def test_code_on_standard_input_is_run(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("for x in range(2):\n    print(await asyncio.sleep(0, x))\n"))
    assert oppman("shell") == (0, "0\n1\n", "")


def test_only_committed_changes_are_saved(oppman: Oppman) -> None:
    codes = [CREATE, f"{CREATE}; await session.commit()", CREATE]
    assert [oppman("shell", "-c", code).code for code in codes] == [0, 0, 1]


def test_commit_queues_jobs(oppman: Oppman) -> None:
    queue = "from opportune.jobs import defer; from opportune.jobs.stored_files import delete_files"
    assert oppman("shell", "-c", f"{queue}; defer(session, delete_files([])); await session.commit()").code == 0
    names = oppman("shell", "-c", "print(*[job.name for job in await session.scalars(select(Job))])").out
    assert "jobs.delete_files" in names.split()


@pytest.mark.parametrize(("arguments", "prompt"), [([], "IPython"), (["--plain"], "Python")])
def test_ipython_is_used_if_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], prompt: str
) -> None:
    def embed(loop_runner: Callable[[Awaitable[int]], int], **_: str) -> Callable[..., int]:
        return lambda local_ns: sys.stdout.write(f"IPython {loop_runner(local_ns['asyncio'].sleep(0, 42))}")

    for name in ("IPython", "IPython.terminal", "IPython.terminal.embed"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["IPython.terminal.embed"].InteractiveShellEmbed = embed  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(shell.AsyncConsole, "interact", lambda *_, **__: sys.stdout.write("Python"))
    monkeypatch.setattr(shell, "complete_with_tab", lambda _names: None)
    assert main(["shell", *arguments]) == 0
    assert capsys.readouterr().out == {"IPython": "IPython 42", "Python": "Python"}[prompt]


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("x = 1\nx / 0", "ZeroDivisionError: division by zero"),
        ("await session.nothing()", "AttributeError: 'Session' object has no attribute 'nothing'"),
        ("def", "SyntaxError: invalid syntax"),
    ],
)
def test_failing_code_shows_its_traceback(oppman: Oppman, code: str, last_line: str) -> None:
    exit_code, _, error = oppman("shell", "-c", code)
    assert exit_code == 1
    assert error.splitlines()[-1] == last_line
    assert '"<shell>", line' in error
    assert "cli/shell.py" not in error


def test_code_sets_the_exit_code() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["shell", "-c", "exit(3)"])
    assert caught.value.code == 3


def test_documented_examples_run(oppman: Oppman) -> None:
    examples = re.findall(r"^python3 oppman\.py (shell .+)$", (PROJECT / "docs/commands.md").read_text(), re.MULTILINE)
    assert examples
    for example in examples:
        outcome = oppman(*shlex.split(example))
        assert outcome.code == 0, outcome.err
