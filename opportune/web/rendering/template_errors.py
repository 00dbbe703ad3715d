"""Mistakes in the project's templates, found before somebody asks for a page."""

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError
from jinja2.meta import find_referenced_templates

from opportune.project import display_path
from opportune.web.rendering.loader import TEMPLATE_FOLDERS
from opportune.web.rendering.templates import templates

OF_LIBRARIES = "sqladmin/"


def template_errors(*, only_overrides: bool = False) -> Iterator[str]:
    """A line for each template of the project that cannot be rendered, with its file.

    Args:
        only_overrides: Look at those alone that take the place of the framework's, as all pages depend on them.
    """
    project, framework = TEMPLATE_FOLDERS
    for path in sorted(project.rglob("*")) if project.is_dir() else ():
        name = path.relative_to(project).as_posix()
        if path.is_file() and ((framework / name).is_file() or not only_overrides):
            yield from _errors_in(templates.environment, path, name)


def _errors_in(environment: Environment, path: Path, name: str) -> Iterator[str]:
    try:
        source = path.read_text(encoding="utf-8")
        environment.compile(source, name, str(path), raw=True)
        missing = list(_missing(environment, source))
    except UnicodeDecodeError:
        yield f"{display_path(path)} is no text in UTF-8: save it as such."
    except TemplateSyntaxError as error:
        yield f"{display_path(path)}:{error.lineno}: {error.message}"
    else:
        yield from (f"{display_path(path)}: there is no template {other}." for other in missing)


def _missing(environment: Environment, source: str) -> Iterator[str]:
    assert environment.loader  # noqa: S101 - templates have one
    for name in find_referenced_templates(environment.parse(source)):
        try:
            if name and not name.startswith(OF_LIBRARIES):
                environment.loader.get_source(environment, name)
        except TemplateNotFound as error:
            yield str(error.name)
