"""Templates of the admin, which call async methods of views such as `check_can_edit` without `await`."""

from collections.abc import Mapping
from types import CoroutineType
from typing import Any

from jinja2 import Environment
from sqladmin import BaseView
from sqladmin.templating import Jinja2Templates
from sqlalchemy.util import await_, greenlet_spawn
from starlette import templating
from starlette.requests import Request
from starlette.responses import Response

from opportune.web.rendering.environment import TemplateContext, TemplateEnvironment
from opportune.web.rendering.templates import templates


class AwaitingContext(TemplateContext):
    """Awaits coroutines that a template gets from a call."""

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        result = super().call(function, *args, **kwargs)
        return await_(result) if isinstance(result, CoroutineType) else result


class AdminTemplates(Jinja2Templates):
    """Renders in a greenlet, which is faster than async templates of Jinja."""

    def __init__(self, env: Environment) -> None:
        site = templates.environment
        self.env = TemplateEnvironment(loader=env.loader, autoescape=True, auto_reload=site.auto_reload)
        # Ours win: SQLAdmin's `_` does not translate.
        self.env.globals = env.globals | site.globals | self.env.globals
        self.env.filters = site.filters  # those of pages, also of features
        self.env.context_class = AwaitingContext
        self.renderer = templating.Jinja2Templates(env=self.env)

    async def TemplateResponse(  # a name of SQLAdmin
        self, request: Request, name: str, context: dict[str, Any] | None = None, status_code: int = 200
    ) -> Any:
        return await greenlet_spawn(self.renderer.TemplateResponse, request, name, context, status_code)


async def render_page(
    request: Request, view: BaseView, template: str, context: Mapping[str, Any], status: int = 200
) -> Response:
    """Render a page of a view, which the template finds in `model_view`."""
    return await view.templates.TemplateResponse(request, template, {"model_view": view, **context}, status)
