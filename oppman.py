#!/usr/bin/env python3
"""Management command. `python3 oppman.py quickstart` sets up and runs the site; `--help` lists all commands.

Works with any Python from 3.11 and from any folder. Missing packages are installed into `.venv` beside this file.
"""

import os
import sys
from importlib.util import find_spec

# Older versions of Python can parse this file, and reach this check.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Opportune needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

os.environ.setdefault("OPPORTUNE_PROJECT", "app")  # package of the project, beside this file

FOLDER = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - pathlib is slow to import
if sys.flags.safe_path:  # with `-P`, `-I` and PYTHONSAFEPATH, sys.path lacks the folder of this file
    sys.path.insert(0, FOLDER)


def main() -> int:
    if not find_spec("opportune"):
        sys.path.append(wheel_of_framework())  # contains the code that installs packages
    from opportune.cli.registry import is_overview_request, show_overview  # noqa: PLC0415 - may hold conflict markers

    if is_overview_request(sys.argv[1:]):  # needs no packages
        return show_overview()
    if sys.argv[1:2] == ["startproject"]:  # needs no packages either
        from opportune.cli.project.new_project.command_line import main as startproject  # noqa: PLC0415 - rarely needed

        return startproject(sys.argv[2:])
    from opportune.cli.environment.entry import enter  # noqa: PLC0415 - slower than the help

    enter(sys.argv[1:])
    from opportune.cli.main import main as command_line  # noqa: PLC0415 - its packages are installed now

    return command_line()


def wheel_of_framework() -> str:
    from zipfile import is_zipfile  # noqa: PLC0415 - not needed once the framework is installed

    with open(f"{FOLDER}/requirements.lock", encoding="utf-8") as lock:
        version = next((line.split()[0].partition("==")[2] for line in lock if line.startswith("opportune==")), "")
    wheel = f"{FOLDER}/vendor/opportune-{version}-py3-none-any.whl"
    if not is_zipfile(wheel):
        sys.exit(f"{wheel} is missing or damaged. Restore it: git checkout HEAD -- vendor requirements.lock")
    return wheel


def has_conflict(path: str) -> bool:
    from pathlib import Path  # noqa: PLC0415 - rarely needed

    return any(line.startswith("<<<<<<< ") for line in Path(path).read_text("utf-8", "replace").splitlines())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except SyntaxError as error:
        if not (error.filename and has_conflict(error.filename)):
            raise
        # The framework cannot be imported, so this file checks for conflict markers itself.
        sys.exit(f"Conflict markers in {error.filename}. Resolve the conflicts, delete the markers and try again.")
