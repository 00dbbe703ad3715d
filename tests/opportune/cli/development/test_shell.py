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
from opportune.project.layout import PROJECT, installed_features

CREATE = "from sqlalchemy import text; await session.execute(text('create table t (x int)'))"


@pytest.fixture(autouse=True)
def _shell_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "get_settings", lambda: settings)


def test_code_may_await(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "-c", "await asyncio.sleep(0)\nprint(await session.scalar(select(41 + 1)))"]) == 0
    assert capsys.readouterr().out == "42\n"


def test_all_models_are_imported(capsys: pytest.CaptureFixture[str]) -> None:
    models = [model.__name__ for feature in installed_features() for model in feature.models]
    assert main(["shell", "-c", f"print({', '.join(models)})"]) == 0
    assert capsys.readouterr().out.count("<class") == len(models)


def test_code_of_c_may_import(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "-c", "import datetime; print(datetime.date.today() > datetime.date.min)"]) == 0
    assert capsys.readouterr().out == "True\n"


def test_code_on_standard_input_is_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("for x in range(2):\n    print(await asyncio.sleep(0, x))\n"))
    assert main(["shell"]) == 0
    assert capsys.readouterr().out == "0\n1\n"


def test_only_committed_changes_are_saved() -> None:
    assert main(["shell", "-c", CREATE]) == 0
    assert main(["shell", "-c", f"{CREATE}; await session.commit()"]) == 0
    assert main(["shell", "-c", CREATE]) == 1


def test_commit_queues_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    queue = "from opportune.jobs import defer; from opportune.jobs.stored_files import delete_files"
    assert main(["shell", "-c", f"{queue}; defer(session, delete_files([])); await session.commit()"]) == 0
    assert main(["shell", "-c", "print(*[job.name for job in await session.scalars(select(Job))])"]) == 0
    assert "jobs.delete_files" in capsys.readouterr().out.split()


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
def test_failing_code_shows_its_traceback(code: str, last_line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shell", "-c", code]) == 1
    error = capsys.readouterr().err
    assert error.splitlines()[-1] == last_line
    assert '"<shell>", line' in error
    assert "cli/shell.py" not in error


def test_code_sets_the_exit_code() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["shell", "-c", "exit(3)"])
    assert caught.value.code == 3


def test_documented_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"^python3 oppman\.py (shell .+)$", (PROJECT / "docs/commands.md").read_text(), re.MULTILINE)
    assert examples
    for example in examples:
        assert main(shlex.split(example)) == 0, capsys.readouterr().err
