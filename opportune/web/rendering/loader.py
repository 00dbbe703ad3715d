"""Where templates come from: the project's take the place of the framework's at the same path."""

from collections.abc import Callable

from jinja2 import Environment, FileSystemLoader

from opportune.project import FRAMEWORK, PROJECT

TEMPLATES = (PROJECT / "templates", FRAMEWORK / "templates")
ORIGINAL = "opportune/"


class TemplateLoader(FileSystemLoader):
    """Finds `base.html` in the project and then in the framework; `opportune/base.html` is always the framework's.

    So the project's `base.html` can say `{% extends "opportune/base.html" %}` and change one block.
    """

    def __init__(self) -> None:
        super().__init__(TEMPLATES)
        self._framework = FileSystemLoader(TEMPLATES[1:])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template.startswith(ORIGINAL):
            return self._framework.get_source(environment, template.removeprefix(ORIGINAL))
        return super().get_source(environment, template)
