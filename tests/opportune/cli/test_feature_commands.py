"""Commands that features list in `Feature(commands=…)`."""

import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest
import typer

from opportune import features
from opportune.cli import registry
from opportune.errors import OperatorError
from opportune.project import optional_features
from tests.opportune.cli.conftest import Oppman

MODULE = "gadgets.commands"
COMMANDS = {"gadgets": MODULE, "lend": "gadgets.lending", "migrate": MODULE}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module of the only feature's command, beside a file that is not imported."""
    (tmp_path / "gadgets").mkdir()
    (tmp_path / "gadgets/__init__.py").touch()
    (tmp_path / "gadgets/lending.py").write_text('"""Lend a gadget."""\nraise SystemExit("imported")\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "commands_of_installed", lambda: {"gadgets": COMMANDS})
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    return module


def typer_with(*names: str) -> typer.Typer:
    command = typer.Typer()
    for name in names:
        command.command(name)(lambda number: typer.echo(f"{number} gadgets"))
    return command


@pytest.mark.usefixtures("module")
def test_help_lists_commands_of_features(oppman: Oppman) -> None:
    lines = [" ".join(line.split()) for line in oppman("--help").out.splitlines()]
    assert lines[lines.index("Feature gadgets:") :] == ["Feature gadgets:", "gadgets", "lend Lend a gadget."]


def test_help_survives_a_broken_feature(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "commands_of_installed", Mock(side_effect=optional_features.NotLiteral))
    broken = Mock(side_effect=OperatorError("app/installed.py has no INSTALLED."))
    monkeypatch.setattr(registry, "installed_features", broken)
    message = "Commands of features are not listed. OperatorError: app/installed.py has no INSTALLED.\n"
    assert oppman("--help").out.endswith(message)


def test_subcommand_runs_and_names_wrong_usage(oppman: Oppman, module: ModuleType) -> None:
    module.command = typer_with("count", "clear")  # type: ignore[attr-defined]
    assert oppman("gadgets", "count", "3") == (0, "3 gadgets\n", "")
    assert "oppman.py gadgets: No such option: --bogus." in oppman("gadgets", "--bogus").line(2)
    assert "Did you mean gadgets?" in oppman("gadget").line(2)


@pytest.mark.usefixtures("module")
def test_feature_cannot_replace_a_command() -> None:
    assert registry.command_module("migrate") == "opportune.cli.database.migrate"


@pytest.mark.usefixtures("module")
def test_command_of_missing_feature_names_the_feature(oppman: Oppman) -> None:
    message = "The command restore belongs to the feature backup. Add `backup` to app/installed.py.\n"
    assert oppman("restore") == (1, "", message)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package of a project, with a feature that cannot be imported."""
    package = tmp_path / "shop_of_tests"
    (package / "books").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "books/feature.py").write_text(
        "import missing\nbooks = Feature('books', commands={'lend': 'shop.books.lend'})\nfilms = Feature(NAME)\n"
    )
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(optional_features, "PACKAGE", package.name)
    return package


IMPORTS = "from opportune.features import copydb as copies\nfrom shop_of_tests.books.feature import books, films\n"


def test_commands_are_read_without_imports(shop: Path) -> None:
    (shop / "installed.py").write_text(f"{IMPORTS}INSTALLED: tuple[Feature, ...] = (copies, books)")
    commands = {"copydb": {"copydb": "opportune.contrib.copydb.commands"}, "books": {"lend": "shop.books.lend"}}
    assert optional_features.commands_of_installed() == commands


@pytest.mark.parametrize(
    "source", ["", "INSTALLED = (films,)", "INSTALLED = (*CORE, books)", "INSTALLED = [books]\nINSTALLED += [copies]"]
)
def test_computed_features_are_not_guessed(shop: Path, source: str) -> None:
    (shop / "installed.py").write_text(IMPORTS + source)
    with pytest.raises(optional_features.NotLiteral):
        optional_features.commands_of_installed()


@pytest.mark.parametrize("name", optional_features.OPTIONAL_FEATURES)
def test_framework_features_are_read_as_declared(name: str) -> None:
    assert optional_features.commands_of_optional(name) == getattr(features, name).commands
