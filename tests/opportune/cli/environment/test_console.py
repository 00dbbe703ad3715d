"""The program `opportune`: new projects, and commands that oppman.py runs."""

import sys
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.environment import console


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        ([], 0, "Usage: opportune new NAME"),
        (["--version"], 0, f"Opportune {__version__}\n"),
        (["new", "opportune"], 1, "'opportune' is the name of a package of the project."),
    ],
)
def test_outside_of_projects(
    arguments: list[str], code: int, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["opportune", *arguments])
    assert console.main() == code
    assert "".join(capsys.readouterr()).startswith(output)


def test_commands_in_a_project_run_its_oppman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "oppman.py").touch()
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path / "app")
    monkeypatch.setattr(sys, "argv", ["opportune", "migrate", "--check"])
    started: list[list[str]] = []
    monkeypatch.setattr(console, "exec_process", started.append)
    console.main()
    assert [command[1:] for command in started] == [[str(tmp_path / "oppman.py"), "migrate", "--check"]]
