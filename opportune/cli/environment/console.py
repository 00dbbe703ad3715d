"""The program `opportune` of the wheel.

`opportune new NAME` creates a project. In a project, `opportune COMMAND` runs `python3 oppman.py COMMAND`, and in an
existing application that calls `opportune.mount` it runs the commands that it offers.
"""

import sys
from pathlib import Path

from opportune import __version__
from opportune.cli.process import exec_process
from opportune.cli.project.new_project.command_line import main as create_project

USAGE = """\
Usage: opportune new NAME [DIR] [OPTIONS]

  Create a project (opportune new --help lists the options). In a project, `opportune COMMAND` runs
  `python3 oppman.py COMMAND`. In an application that calls `opportune.mount`, it runs `python -m opportune COMMAND`."""


def main() -> int:
    """Run the command, and return the exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["new"]:
        return create_project(arguments[1:], needs_clone=False)
    if script := _find_script():
        # Not the environment of this program, because the project has its own with other versions.
        # CPython's name for the Python of a virtual environment.
        exec_process([getattr(sys, "_base_executable", sys.executable), str(script), *arguments])
    if arguments in ([], ["-h"], ["--help"], ["help"]):
        print(USAGE)
        return 0
    if arguments == ["--version"]:
        print(f"Opportune {__version__}")
        return 0
    from opportune.cli.environment.existing_app import main as run_in_application  # slow, and needs the packages

    return run_in_application()


def _find_script() -> Path | None:
    """Return the oppman.py of the project that contains the current folder."""
    folder = Path.cwd()
    scripts = (parent / "oppman.py" for parent in (folder, *folder.parents))
    return next((script for script in scripts if script.is_file()), None)
