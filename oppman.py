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
        add_framework()  # contains the code that installs the other packages
    if sys.argv[1:2] == ["startproject"]:  # needs no packages either
        from opportune.cli.project.new_project.command_line import main as startproject  # rarely needed

        return startproject(sys.argv[2:])
    from opportune.cli.environment.entry import enter  # importable now
    from opportune.cli.registry import is_overview_request, show_overview  # as above

    enter(sys.argv[1:])
    if is_overview_request(sys.argv[1:]):
        return show_overview()
    from opportune.cli.main import main as command_line  # its packages are installed now

    return command_line()


def add_framework() -> None:
    """Import the framework from its wheel in vendor/, or install it from the package index and continue in .venv."""
    from glob import glob  # not needed once the framework is installed
    from re import MULTILINE, search  # as above
    from zipfile import is_zipfile  # as above

    with open(f"{FOLDER}/requirements.lock", encoding="utf-8") as lock:
        pin = search(r"^opportune==(\S+) \\\n( +--hash=\S+)", lock.read(), MULTILINE)
    if not pin:
        sys.exit("requirements.lock does not pin opportune. Restore it: git checkout HEAD -- requirements.lock")
    wheel = f"{FOLDER}/vendor/opportune-{pin[1]}-py3-none-any.whl"
    if is_zipfile(wheel):
        sys.path.append(wheel)
    elif os.path.exists(wheel) or glob(f"{FOLDER}/vendor/opportune-*.whl"):  # noqa: PTH110, PTH207 - see above
        sys.exit(f"{wheel} is missing or damaged. Restore it: git checkout HEAD -- vendor requirements.lock")
    else:
        run_installed_framework(pin[0] + "\n")


def run_installed_framework(pin: str) -> None:
    """Run this command in .venv. The framework is installed there if necessary, and installs the other packages."""
    import shutil  # only for a framework of the package index
    import subprocess  # as above
    from pathlib import Path  # as above

    venv, uv = Path(FOLDER, ".venv"), shutil.which("uv")
    python, lock = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), venv / "framework.lock"
    if Path(sys.prefix) == venv or not python.exists() or not lock.exists() or lock.read_text("utf-8") != pin:
        print("Installing the framework ...", file=sys.stderr)
        venv.mkdir(exist_ok=True)
        new_lock = venv / "framework.lock.new"
        new_lock.write_text(pin, "utf-8")
        # With another `--project`, uv does not read our pyproject.toml, whose constraints it refuses with hashes.
        options = ["--project", venv.anchor, "--python", str(python)]
        create = [uv, "venv", "--allow-existing", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        install = [uv, "pip", "install", *options] if uv else [str(python), "-m", "pip", "install", "--no-user"]
        install += ["--no-deps", "--require-hashes", "-r", str(new_lock)]
        for command in [install] if python.exists() else [[*create, str(venv)], install]:
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if result.returncode:
                reason = " ".join(result.stdout[max(result.stdout.lower().find("error:"), 0) :].split())
                sys.exit(f"The framework cannot be installed. Check the package index, or restore vendor/. {reason}")
        new_lock.replace(lock)
    same_command = [str(python), os.path.realpath(__file__), *sys.argv[1:]]
    if os.name == "nt":  # exec would return to the prompt before the command ends
        sys.exit(subprocess.call(same_command))
    os.execv(python, same_command)  # noqa: S606 - no shell is needed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
