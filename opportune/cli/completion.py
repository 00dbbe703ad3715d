"""Shell completion after `python3 oppman.py`. Typer's scripts complete only after `oppman.py`, if it is on the PATH."""

from collections.abc import Callable
from pathlib import Path
from shutil import copyfile
from typing import Any

SCRIPTS = {".bash_completions/oppman.py.sh": "completion.bash", ".zfunc/_oppman.py": "completion.zsh"}
"""Files of this folder by the file in the home folder to which Typer writes its own script."""


def complete_after_python(command: Any) -> None:
    """Make `--install-completion` install these scripts. Typer's `--show-completion` would print its own."""
    command.params = [option for option in command.params if option.name != "show_completion"]
    for option in command.params:
        if option.name == "install_completion":
            option.callback = _replacing_scripts(option.callback)


def _replacing_scripts(install: Callable[..., Any]) -> Callable[..., Any]:
    def install_and_replace(*arguments: Any) -> Any:
        try:
            return install(*arguments)
        except SystemExit:  # installed
            for name, script in SCRIPTS.items():
                if (file := Path.home() / name).exists():
                    copyfile(Path(__file__).with_name(script), file)
            raise

    return install_and_replace
