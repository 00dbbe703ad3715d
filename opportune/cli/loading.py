"""Commands and their modules.

`opportune/cli/<family>/<name>.py` defines `command`: a function with Typer annotations, or a `typer.Typer()` with
subcommands. The module docstring is the help of the command, and its first line is shown in the overview. The file can
import anything at the top, because it is imported only for this command. Optional `CONTEXT_SETTINGS` go to Typer. A
command fails with `OperatorError`, or sets another exit code with `raise typer.Exit(code)`. It prints with `output.py`.

Commands of features have the same form, and `Feature(commands=…)` lists their modules. If the function has a docstring,
it replaces the module's as the help.
"""

from collections import Counter
from collections.abc import Iterator
from inspect import cleandoc
from types import ModuleType

import typer
from typer.main import get_command_name

from opportune.cli.options import Command, add_common_options
from opportune.cli.registry import command_module
from opportune.errors import OperatorError
from opportune.project.installed import installed_features
from opportune.project.layout import display_path, feature_folder, feature_module
from opportune.project.modules import import_existing
from opportune.project.optional_features import OPTIONAL_FEATURES, commands_of_optional, how_to_list


def load(name: str) -> Command:
    """Load a command from its module and add the common options."""
    module = import_command(name, command_module(name))
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    settings = getattr(module, "CONTEXT_SETTINGS", None)
    help_text = cleandoc(module.__doc__ or "")
    if isinstance(module.command, typer.Typer):
        # Without this option, a missing subcommand prints the whole help instead of one line.
        app.add_typer(module.command, name=name, help=help_text, no_args_is_help=False)
        command = typer.main.get_group(app).commands[name]
    else:
        app.command(name, context_settings=settings, help=module.command.__doc__ or help_text)(module.command)
        command = typer.main.get_command(app)
    if not settings:  # other programs such as pytest define these options themselves
        add_common_options(command)
    return command


def import_command(name: str, module_name: str) -> ModuleType:
    module = import_existing(module_name)
    if module is None:
        raise OperatorError(f"The command {name} is in {module_name}, which does not exist. Correct commands={{…}}.")
    if not callable(getattr(module, "command", None)):
        raise OperatorError(f"{module_name} has no `command`. Define a function or a typer.Typer() of this name.")
    counts = Counter(_subcommand_names(module))
    if repeated := next((subcommand for subcommand, count in counts.items() if count > 1), ""):
        raise OperatorError(f"{module_name} defines the command {repeated} twice. Rename one.")
    return module


def _subcommand_names(module: ModuleType) -> list[str]:
    """Return the names of the subcommands that the module of a command defines."""
    subcommands = module.command.registered_commands if isinstance(module.command, typer.Typer) else []
    return [info.name or get_command_name(info.callback.__name__) for info in subcommands if info.callback]


def find_missing_command(name: str) -> str | None:
    """Return what to add for the command, in one line; None if there is none of this name."""
    if feature := next((feature for feature in OPTIONAL_FEATURES if name in commands_of_optional(feature)), None):
        return f"The command {name} belongs to the feature {feature}. {how_to_list(feature)}"
    return next((message for feature, message in find_unlisted_commands() if feature == name), None)


def find_unlisted_commands() -> Iterator[tuple[str, str]]:
    """Yield each installed feature with a `commands.py` that it does not list, and what to add."""
    for feature in installed_features():
        folder = feature_folder(feature.name)
        module = f"{feature_module(feature.name)}.commands"
        if (folder / "commands.py").exists() and module not in feature.commands.values():
            yield (
                feature.name,
                f"{display_path(folder / 'commands.py')} has no effect. "
                f'Add commands={{"{feature.name}": "{module}"}} to {display_path(folder / "feature.py")}.',
            )
