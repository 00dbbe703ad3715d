"""Where templates come from: the project's take the place of the framework's at the same path."""

from collections.abc import Callable

from jinja2 import Environment, FileSystemLoader

from opportune.config.project import FRAMEWORK, PROJECT

TEMPLATE_FOLDERS = (PROJECT / "templates", FRAMEWORK / "templates")
FRAMEWORK_PREFIX = "opportune/"


class TemplateLoader(FileSystemLoader):
    """Finds `base.html` in the project and then in the framework; `opportune/base.html` is always the framework's.

    So the project's `base.html` can say `{% extends "opportune/base.html" %}` and change one block.
    """

    def __init__(self) -> None:
        super().__init__(TEMPLATE_FOLDERS)
        self._framework = FileSystemLoader(TEMPLATE_FOLDERS[1:])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template.startswith(FRAMEWORK_PREFIX):
            return self._framework.get_source(environment, template.removeprefix(FRAMEWORK_PREFIX))
        return super().get_source(environment, template)
