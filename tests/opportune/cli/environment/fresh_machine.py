"""A machine with a fresh clone, a replacement of uv, and commands that only print their arguments."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from opportune.cli.environment.locks import BASE, DEV, FRAMEWORK, MODEL, OPTIONAL_LOCKS
from opportune.cli.registry import MODULES
from opportune.project.layout import PROJECT
from tests.opportune.cli.conftest import TIMEOUT_SECONDS

BARE_PYTHON = [getattr(sys, "_base_executable", sys.executable), "-S"]
"""Command of the Python installation without packages, as on a fresh machine."""
UV_REPLACEMENT = f"""\
#!/bin/sh
PATH=/usr/bin:/bin
for last; do :; done
echo "$@" >>"$CALLS"
if [ "$1" = venv ]; then mkdir -p "$last/bin" && ln -sf '{BARE_PYTHON[0]}' "$last/bin/python"; fi
task=${{last##*/project/}}
case $task in
"$FAILING_TASK") echo "error: no response" >&2; exit 1 ;;
"$KILLED_TASK") kill -KILL $$ ;;
"$WAITING_TASK") : >"$STARTED"; exec sleep 60 ;;
esac
"""
COMMAND_LINE = """\
import sys
def main():
    print("ran", *sys.argv[1:])
    return 0
"""


PROGRAM_FILES = (
    *("oppman.py", "app/__init__.py", "opportune/__init__.py", "opportune/context.py", "opportune/config/__init__.py"),
    *("opportune/features/__init__.pyi", "opportune/project/assignments.py", "opportune/project/atomic_files.py"),
    "opportune/project/text_files.py",
    *(f"opportune/errors/{name}.py" for name in ("__init__", "renamed_names", "suggestions")),
    *(
        f"opportune/project/{name}.py"
        for name in ("current", "feature_packages", "installed", "layout", "lazy_exports", "optional_features")
    ),
    *(f"opportune/cli/{name}.py" for name in ("__init__", "process", "registry", "terminal")),
    *(f"opportune/cli/environment/{name}.py" for name in ("entry", "installation", "locks", "virtual_environment")),
)
"""Files that run before packages are installed."""


def copy_with_bytecode(name: str, project: Path) -> None:
    """Copy a file of the project with its bytecode, which stays valid for the same time and size."""
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(PROJECT / name, project / name)
    compiled = Path(importlib.util.cache_from_source(name))
    if (PROJECT / compiled).exists():
        (project / compiled).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROJECT / compiled, project / compiled)


class Machine:
    """A copy of the project, with a replacement of uv on the PATH that logs its calls."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.venv = self.project / ".venv"
        self.calls = folder / "calls"
        self.started = folder / "started"
        self.cwd = Path("/")
        self.environ = {"PATH": str(folder), "CALLS": str(self.calls), "STARTED": str(self.started)}
        (self.project / "opportune/cli").mkdir(parents=True)
        (self.project / "app").mkdir()
        (self.project / "requirements").mkdir()
        for name in (*PROGRAM_FILES, *(f"{module.replace('.', '/')}.py" for module in MODULES.values())):
            copy_with_bytecode(name, self.project)
        (self.project / "opportune/cli/main.py").write_text(COMMAND_LINE)
        for lock in (BASE, MODEL, *OPTIONAL_LOCKS.values(), DEV, FRAMEWORK):
            (self.project / lock).write_text(f"{lock} 1\n")
        for test_file in ("books/test_pages.py", "talks/test_answers.py", "opportune/test_settings.py"):
            (self.project / "tests" / test_file).parent.mkdir(parents=True)
            (self.project / "tests" / test_file).touch()
        (self.project / "tests/talks/test_answers.py").write_text("pytestmark = pytest.mark.model\n")
        (folder / "uv").write_text(UV_REPLACEMENT)
        (folder / "uv").chmod(0o755)

    def start(self, *arguments: str, python: list[str] = BARE_PYTHON, **environ: str) -> subprocess.Popen[str]:
        command = [*python, str(self.project / "oppman.py"), *arguments]
        environ, pipe = {**self.environ, **environ}, subprocess.PIPE
        return subprocess.Popen(command, env=environ, cwd=self.cwd, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, python: list[str] = BARE_PYTHON, **environ: str) -> tuple[int, str, list[str]]:
        """Return the exit code, the output and the lines of stderr."""
        with self.start(*arguments, python=python, **environ) as process:
            output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        return process.returncode, output, errors.splitlines()

    def installed_locks(self) -> list[str]:
        """Return the locks that the replacement of uv was called with, in order."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.partition(f" -r {self.project}/")[2] for line in lines if line.startswith("pip install")]
