"""Commands of features: listed without an import, loaded when they are called."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from opportune.cli import registry
from opportune.cli.main import main

MODULE = "app.gadgets.commands"
ONE_COMMAND = '"""Count the gadgets.\n\nMore details.\n"""\nraise SystemExit("imported")\n'
TYPER_COMMANDS = '''"""Manage gadgets."""
import typer

command = typer.Typer()


@command.command()
def count(number: int) -> None:
    """Count the gadgets.

    More details.
    """


@command.command(name="clear-all")
def clear() -> None:
    """Delete all gadgets."""


@command.command("lend")
def _lend() -> None: ...


def unrelated() -> None: ...
'''


def help_section(heading: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines below a heading of the help."""
    text = capsys.readouterr().out.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.fixture
def feature_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the only feature with commands."""
    folder = tmp_path / "gadgets"
    folder.mkdir()
    monkeypatch.setattr(registry, "project_folder", lambda: str(tmp_path))
    return folder


@pytest.fixture
def gadgets(feature_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Replace the module of the feature."""
    (feature_folder / "commands.py").write_text(ONE_COMMAND)
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    return module


def test_help_lists_a_command_without_import(feature_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (feature_folder / "commands.py").write_text(ONE_COMMAND)
    assert main(["--help"]) == 0
    assert help_section("Feature gadgets", capsys) == ["gadgets Count the gadgets."]


def test_help_lists_subcommands_of_a_feature(feature_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (feature_folder / "commands.py").write_text(TYPER_COMMANDS)
    assert main(["--help"]) == 0
    assert help_section("Feature gadgets", capsys) == [
        "gadgets count Count the gadgets.",
        "gadgets clear-all Delete all gadgets.",
        "gadgets lend",
    ]


def test_help_without_feature_commands(feature_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not list(feature_folder.iterdir())
    assert main(["--help"]) == 0
    assert "Feature " not in capsys.readouterr().out


@pytest.mark.parametrize("source", ["def broken(:", "x = 1", "\0"])
def test_unreadable_commands_are_listed(feature_folder: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    (feature_folder / "commands.py").write_text(source)
    assert main(["--help"]) == 0
    assert "gadgets" in capsys.readouterr().out


def test_subcommand_runs(gadgets: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    command = typer.Typer()

    @command.command()
    def count(number: int) -> None:
        typer.echo(f"{number} gadgets")

    @command.command()
    def clear() -> None: ...

    gadgets.command = command  # type: ignore[attr-defined]

    assert main(["gadgets", "count", "3"]) == 0
    assert capsys.readouterr().out == "3 gadgets\n"


def test_command_defined_twice_is_reported_in_one_line(
    feature_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (feature_folder / "commands.py").write_text(
        TYPER_COMMANDS + '\n@command.command("clear-all")\ndef clear_again(): ...\n'
    )
    assert main(["gadgets", "count"]) == 1
    assert "commands.py: the command clear-all is defined twice, in lines " in capsys.readouterr().err


def test_wrong_usage_names_the_command(gadgets: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def count(number: int) -> None:
        del number

    gadgets.command = count  # type: ignore[attr-defined]
    assert main(["gadgets", "--bogus"]) == 2
    assert "oppman.py gadgets: No such option: --bogus." in capsys.readouterr().err
    assert main(["gadget"]) == 2
    assert "Did you mean gadgets?" in capsys.readouterr().err


def test_feature_cannot_replace_a_command(feature_folder: Path) -> None:
    (feature_folder / "commands.py").touch()
    feature_folder.rename(feature_folder.with_name("migrate"))
    assert registry.feature_commands() == {}
