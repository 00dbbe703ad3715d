"""Lines of the examples that depend on teams, between comments such as `# startproject: leave out without teams`.

Uses only the standard library.
"""

import re
from pathlib import Path

from opportune.cli.project.shared_files import write_text

FOLDERS = ("app", "migrations", "tests")
LINES = r"^[ \t]*# startproject: {} without teams\n((?:.*\n)*?)(?:\n?^[ \t]*# startproject: go on\n|\Z)"
LINES_WITH_TEAMS, LINES_WITHOUT_TEAMS = (
    re.compile(LINES.format(action), re.MULTILINE) for action in ("leave out", "write")
)
"""Lines for one kind of project. Those for projects without teams are comments in the starter."""
COMMENT = re.compile(r"^([ \t]*)# ?", re.MULTILINE)


def select_team_lines(folder: Path, *, has_teams: bool) -> None:
    """Remove the lines for projects with or without teams. Delete files that have no other lines."""
    for file in (file for name in FOLDERS for file in sorted((folder / name).rglob("*.py"))):
        text = file.read_text(encoding="utf-8")
        selected = _with_teams(text) if has_teams else _without_teams(text)
        if text and not selected:
            file.unlink()
        elif selected != text:
            write_text(file, selected)


def _with_teams(text: str) -> str:
    return LINES_WITH_TEAMS.sub(r"\1", LINES_WITHOUT_TEAMS.sub("", text))


def _without_teams(text: str) -> str:
    text = LINES_WITH_TEAMS.sub("", text)
    return LINES_WITHOUT_TEAMS.sub(lambda match: COMMENT.sub(r"\1", match[1]), text)
