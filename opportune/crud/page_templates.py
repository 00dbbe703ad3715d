"""Templates of `CrudPages`: those of the project, or else the defaults."""

from time import monotonic
from typing import Any

from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE
from opportune.web import templates

CACHE_SECONDS = 1
"""Time for which the choice of a template is cached. Jinja would search the folders of templates for each request."""


class PageTemplates:
    """The template of each page of a data layer, such as `books/book_list.html` or `crud/list.html`."""

    def __init__(self, crud_class: type[Any]) -> None:
        self._prefix = f"{_feature_of(crud_class)}/{crud_class.model.__name__.lower()}"
        self._cached: dict[str, tuple[object, float, str]] = {}
        """Loader, time of expiry and name of the cached template, by page."""

    def find(self, page: str) -> str:
        """Return the project's template of a page, or the default."""
        loader = templates.environment.loader
        now = monotonic()
        cached_loader, expires_at, name = self._cached.get(page, (None, 0.0, ""))
        if cached_loader is not loader or expires_at < now:
            candidates = [f"{self._prefix}_{page}.html", f"crud/{page}.html"]
            name = str(templates.environment.select_template(candidates).name)
            self._cached[page] = (loader, now + CACHE_SECONDS, name)
        return name


def _feature_of(crud_class: type[Any]) -> str:
    """Return the feature that declares a data layer, which is also the folder of its templates."""
    package, *inner = crud_class.__module__.split(".")
    if package == PACKAGE and inner:  # app.books.service
        return inner[0].removeprefix(PREFIX)
    folders = [package, *inner[:-1]]  # opportune_books.service, or opportune.contrib.knowledge.pages
    return folders[-1].removeprefix(PREFIX)
