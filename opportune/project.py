"""The project that the framework runs: its folder, and what it has installed.

`oppman.py` names the project's package, as Django's manage.py names its settings; the rest is found from there. The
framework imports nothing of the project by name.
"""

import os
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opportune.feature import Feature
    from opportune.settings import Settings

FRAMEWORK = Path(__file__).resolve().parent
PACKAGE = os.environ.get("OPPORTUNE_PROJECT", "app")
"""Where the project's own code is: `installed.py`, `main.py`, `settings.py` and its features."""


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))).resolve().parent if places else Path.cwd()


PROJECT = _folder()
"""The folder of oppman.py, `.env`, `templates/`, `static/`, `migrations/` and `tests/`."""


def env_file_value(name: str) -> str:
    """What `.env` says of one setting, for those who cannot wait for the settings; empty where it says nothing."""
    try:
        text = (PROJECT / ".env").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.findall(rf"""^\s*(?:export\s+)?{name}\s*=[ \t]*["']?([^"'#\n]*)""", text, re.MULTILINE)
    return found[-1] if found else ""


def installed_features() -> "Sequence[Feature]":
    """The features that the project lists in `installed.py`, the framework's among them."""
    features: Sequence[Feature] = import_module(f"{PACKAGE}.installed").INSTALLED
    return features


def installed_names() -> list[str]:
    return [feature.name for feature in installed_features()]


def settings_class() -> "type[Settings]":
    """The project's `Settings`; the framework's where it has no `settings.py`."""
    module = f"{PACKAGE}.settings" if find_spec(PACKAGE) and find_spec(f"{PACKAGE}.settings") else "opportune.settings"
    settings: type[Settings] = import_module(module).Settings
    return settings


def application(*arguments: Any) -> Any:
    """The project's site: what `create_app` in its `main.py` makes."""
    return import_module(f"{PACKAGE}.main").create_app(*arguments)


def display_path(path: Path) -> str:
    """A file's path as its owner knows it: from the project's folder on, if it is there."""
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else str(path)
