"""Loader of templates: a project template replaces the framework template at the same path."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from opportune.config.feature_packages import feature_packages
from opportune.config.project import FRAMEWORK, PROJECT

PACKAGES = tuple(Path(folder) / "templates" for folder in feature_packages().values())
TEMPLATE_FOLDERS = (PROJECT / "templates", *PACKAGES, FRAMEWORK / "templates")
FRAMEWORK_PREFIX = "opportune/"


class TemplateLoader(FileSystemLoader):
    """Finds `base.html` in the project, in feature packages, then in the framework.

    `opportune/base.html` is always the framework's.

    The project's `base.html` can therefore extend `opportune/base.html` and change one block.
    """

    def __init__(self) -> None:
        super().__init__(TEMPLATE_FOLDERS)
        self._framework = FileSystemLoader(TEMPLATE_FOLDERS[-1])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template.startswith(FRAMEWORK_PREFIX):
            return self._framework.get_source(environment, template.removeprefix(FRAMEWORK_PREFIX))
        return super().get_source(environment, template)
