import importlib.util
import sys
from pathlib import Path

import pytest

from app.cli import test as subject
from app.cli.main import main
from app.core.settings import PROJECT


def test_arguments_and_options_go_to_pytest_in_the_projects_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[object] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subject, "become", lambda command: seen.extend([command, Path.cwd()]))
    assert main(["test", "-xk", "todos and not slow", "tests/features", "--durations=3"]) == 0
    words = ["-xk", "todos and not slow", "tests/features", "--durations=3"]
    assert seen == [[sys.executable, "-m", "pytest", *words], PROJECT]


def test_without_pytest_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["test"]) == 1
    assert "requirements-dev.lock" in capsys.readouterr().err
