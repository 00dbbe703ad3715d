"""Files whose text differs between the starter and a project, for example because they contain its name."""

import json
import re
from pathlib import Path
from string import Template

from opportune import __version__
from opportune.cli.project.new_project.examples import ALWAYS, examples
from opportune.config.project import PACKAGE

SKELETON = Path(__file__).parents[2] / "skeleton/project"
FIRST_VERSION = "0.1.0"
RENDERED_FILES = ("README.md", "AGENTS.md", "tests/test_access.py")
"""Files rendered from the skeleton instead of copied."""
FILES_WITH_BLOCKS = ("pyproject.toml", ".ci/run", ".github/workflows/ci.yml")
"""Files with blocks that only the starter needs."""
BLOCK = re.compile(r"^[ \t]*# startproject: leave out\n.*?^[ \t]*# startproject: go on\n", re.MULTILINE | re.DOTALL)


def render_files(folder: Path, title: str, slug: str) -> None:
    """Write the files of a new project whose text differs from the starter's."""
    for name in FILES_WITH_BLOCKS:
        _rewrite(folder / name, BLOCK.sub("", (folder / name).read_text(encoding="utf-8")))
    _substitute(folder / "pyproject.toml", r'^name = ".*"$', f'name = "{slug}"')
    # The version of the project, which upgrades of the framework do not change.
    _substitute(folder / "pyproject.toml", r'^version = ".*"$', f'version = "{FIRST_VERSION}"')
    _substitute(folder / "pyproject.toml", r'^description = ".*"$', f"description = {_quoted(title)}")
    _substitute(folder / PACKAGE / "settings.py", r'(site_name: str = )".*"', rf"\g<1>{_quoted(title)}")
    _substitute(folder / ".env.example", r"^# SITE_NAME=.*$", f"# SITE_NAME={title}")
    placeholders = {"title": title, "slug": slug, "version": __version__, "features": _feature_table(folder)}
    for name in RENDERED_FILES:
        text = Template((SKELETON / f"{name}.tmpl").read_text(encoding="utf-8")).substitute(placeholders)
        _rewrite(folder / name, text)


def _feature_table(folder: Path) -> str:
    """Return the installed features as table rows."""
    lines = {**ALWAYS, **{name: f"an example: {summary}" for name, summary in examples().items()}}
    rows = [(name, line) for name, line in lines.items() if (folder / PACKAGE / name).is_dir()]
    return "".join(f"| `{PACKAGE}/{name}/` | {line} |\n" for name, line in rows)


def _quoted(text: str) -> str:
    """Return a string literal for Python and TOML."""
    return json.dumps(text, ensure_ascii=False)


def _substitute(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text(encoding="utf-8")
    _rewrite(path, re.sub(pattern, lambda match: match.expand(replacement), text, count=1, flags=re.MULTILINE))


def _rewrite(path: Path, text: str) -> None:
    # The record of the release has hashes of files, so line endings must not depend on the platform.
    path.write_text(text, encoding="utf-8", newline="\n")
