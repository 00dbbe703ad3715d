"""Command line of an existing application: `python -m opportune migrate` (oppman.py docs existing-app)."""

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from opportune.cli.environment.entry import command_name, is_help_request
from opportune.cli.error_reports import print_error, report_unexpected_error
from opportune.cli.main import main as run_command_line
from opportune.cli.registry import COMMANDS, MODULES, is_overview_request, show_overview
from opportune.errors import OperatorError
from opportune.project.current import HAS_PROJECT
from opportune.project.installed import mounted_features
from opportune.project.pyproject import PYPROJECT, read_pyproject

OFFERED = {"check", "sendtestemail", "migrate", "showmigrations", "sqlmigrate", "doctor"}
OFFERED |= {*COMMANDS["Accounts"], *COMMANDS["Jobs"]}
"""Commands for the tables of the framework. Those for models and code need a project."""
USUAL_FILES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
"""Files in which `fastapi dev` also searches for the application."""


def main() -> int:
    if HAS_PROJECT:
        return run_command_line()
    _offer_commands()
    if is_overview_request(sys.argv[1:]):
        with suppress(Exception, SystemExit):  # other commands report mistakes in the application
            _load_application()
        return show_overview()
    is_help_of_command = is_help_request(sys.argv[1:]) and command_name(sys.argv[1:]) in MODULES
    try:
        if "--version" not in sys.argv and not is_help_of_command:
            _load_application()
    except OperatorError as error:
        return print_error(str(error), 1)
    except Exception as error:  # noqa: BLE001 - a mistake in the application is reported as in commands
        return report_unexpected_error(error)
    return run_command_line()


def _offer_commands() -> None:
    """Leave out the commands that need a project."""
    for family, names in list(COMMANDS.items()):
        COMMANDS[family] = tuple(name for name in names if name in OFFERED)
        if not COMMANDS[family]:
            del COMMANDS[family]
    for name in MODULES.keys() - OFFERED:
        del MODULES[name]


def _load_application() -> None:
    """Import the application, which calls `opportune.mount`."""
    name = find_application()
    import_module(name)
    if not mounted_features:
        raise OperatorError(f"{name} does not call opportune.mount(app). Add the call below its routes.")


def find_application() -> str:
    """Return the module of the application, by `[tool.fastapi]` in pyproject.toml or by its usual names."""
    settings = read_pyproject(Path()) if Path(PYPROJECT).exists() else {}
    entrypoint = str(settings.get("tool", {}).get("fastapi", {}).get("entrypoint", ""))
    file = next((file for file in USUAL_FILES if Path(file).is_file()), "")
    module = entrypoint.partition(":")[0] or file.removesuffix(".py").replace("/", ".")
    with suppress(ImportError, ValueError):  # of a package above the module
        if module and find_spec(module):
            return module
    cause = f"There is no module {module}" if module else "No application was found"
    raise OperatorError(
        f"{cause}. Create a project: opportune new NAME. Or, in the folder of your application, write into "
        'pyproject.toml the line [tool.fastapi], and below it entrypoint = "main:app"'
    )
