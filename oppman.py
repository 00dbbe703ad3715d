#!/usr/bin/env python3
"""The management command: `python3 oppman.py quickstart` sets up everything and runs the site; `--help` lists the rest.

Any Python from 3.11 on will do, in any folder: what is missing is installed into `.venv` beside this file.
"""

import os
import sys

# An older Python gets this far, as nothing above or below is newer syntax than it knows.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Opportune needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

os.environ.setdefault("OPPORTUNE_PROJECT", "app")  # the package of the project, beside this file

if sys.flags.safe_path:  # `-P`, `-I` and PYTHONSAFEPATH leave out the folder of this file
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib takes longer to import


def main() -> int:
    from opportune.cli.registry import asks_for_overview, show_overview  # noqa: PLC0415 - may hold conflict markers

    if asks_for_overview(sys.argv[1:]):  # needs nothing that is not there
        return show_overview()
    if sys.argv[1:2] == ["startproject"]:  # nor does this
        from opportune.cli.project.new_project.command_line import main as startproject  # noqa: PLC0415 - rarely wanted

        return startproject(sys.argv[2:])
    from opportune.cli.environment.entry import enter  # noqa: PLC0415 - takes longer than the above

    enter(sys.argv[1:])
    from opportune.cli.main import main as command_line  # noqa: PLC0415 - what it imports is there from here on

    return command_line()


def has_conflict(path: str) -> bool:
    from pathlib import Path  # noqa: PLC0415 - rarely wanted

    return any(line.startswith("<<<<<<< ") for line in Path(path).read_text("utf-8", "replace").splitlines())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except SyntaxError as error:
        if not (error.filename and has_conflict(error.filename)):
            raise
        # This file cannot ask the framework for the other files: its own modules are among them.
        sys.exit(f"Conflict markers in {error.filename}: keep what is right there, delete the markers, then again.")
