"""Errands of docs/errands.md and of the examples' guides, run in a copy of the project."""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from opportune.cli.scaffold.installed import with_feature
from opportune.project.layout import PROJECT
from tests.opportune.cli.command_server import command_server
from tests.opportune.cli.conftest import ProjectCopy

GUIDES = [PROJECT / "docs/errands.md", *sorted((PROJECT / "app").glob("*/README.md"))]
MODULES = ("db.factory", "db.migrations.runner", "fields", "web.routing")
PRELOADED_MODULES = tuple(f"opportune.{name}" for name in MODULES)
"""Slow modules that errands do not change. The command server imports them once."""
FEATURES = ("greeting",)
"""Features that the guide adds to `app/installed.py`."""


def diffs(guides: Sequence[Path] = GUIDES) -> Iterator[tuple[str, str]]:
    """Yield files with their changes, in order."""
    for guide in guides:
        for diff in re.findall(r"^```diff\n(.*?)^```$", guide.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for part in re.split(r"^--- .*\n(?=\+\+\+ )", diff, flags=re.MULTILINE)[1:]:
                heading, _, changes = part.partition("\n")
                yield heading.removeprefix("+++ b/"), changes


def apply(changes: str, path: Path) -> None:
    """Apply a unified diff. Line numbers are ignored."""
    text = path.read_text() if path.exists() else ""
    for hunk in re.split(r"^@@ .*\n", changes, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in marks) for marks in (" -", " +"))
        assert text.count(old) == 1 or not text, f"{path.name} must contain these lines once:\n{old}"
        text = text.replace(old, new) if old else new
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_errands_work(tmp_path: Path) -> None:
    copy = ProjectCopy(tmp_path / "copy").folder
    shutil.copy(PROJECT / "pyproject.toml", copy)
    tests = sorted({name for name, _ in diffs() if name.startswith("tests/")})
    for folder in {"tests", *(Path(name).parent.as_posix() for name in tests)}:
        for file in (PROJECT / folder).glob("[_c]*.py"):  # fixtures of the examples' tests
            (copy / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy / folder)
    with command_server(copy, *PRELOADED_MODULES) as run:
        assert run("startapp", "books")[0] == 0
        for name, changes in diffs():
            apply(changes, copy / name)
        installed = copy / "app/installed.py"
        for feature in FEATURES:
            installed.write_text(with_feature(installed.read_text(), feature))
        code, output = run("makemigrations", "&&", "pytest", "-qx", "-k", "not postgresql", *tests)
    assert code == 0, output[-5000:]
    assert f"{len(tests)} passed" in output
