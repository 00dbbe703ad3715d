"""Files of a new project that contain its name or depend on its examples."""

import json
from pathlib import Path

from opportune import __version__
from opportune.cli.project.new_project.examples import ALWAYS, examples
from opportune.cli.project.shared_files import LANDING_PAGE, ProjectNames, render, substitute
from opportune.project.layout import PACKAGE

RENDERED_FILES = ("README.md", "tests/test_access.py", LANDING_PAGE)
"""Files rendered from the skeleton instead of copied."""


def render_files(folder: Path, names: ProjectNames) -> None:
    """Write the files of a new project whose text differs from the starter's, except the shared files."""
    title = json.dumps(names.title, ensure_ascii=False)
    substitute(folder / PACKAGE / "settings.py", r'(site_name: str = )".*"', rf"\g<1>{title}")
    substitute(folder / PACKAGE / "settings.py", r'(site_description: str = )".*', r'\g<1>""')
    substitute(folder / ".env.example", r"^# SITE_NAME=.*$", f"# SITE_NAME={names.title}")
    substitute(folder / ".env.example", r"^# SITE_DESCRIPTION=.*$", "# SITE_DESCRIPTION=")
    placeholders = {"title": names.title, "version": __version__, "features": _feature_table(folder)}
    for name in RENDERED_FILES:
        render(name, folder, placeholders)


def _feature_table(folder: Path) -> str:
    """Return the installed features as table rows."""
    lines = {**ALWAYS, **{name: f"an example: {summary}" for name, summary in examples().items()}}
    rows = [(name, line) for name, line in lines.items() if (folder / PACKAGE / name).is_dir()]
    return "".join(f"| `{PACKAGE}/{name}/` | {line} |\n" for name, line in rows)
