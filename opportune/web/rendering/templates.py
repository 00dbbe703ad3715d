"""Rendering of Jinja2 templates and blocks, with autoescaping for all suffixes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import StrictUndefined, pass_context
from jinja2.runtime import Context

from opportune.errors import OperatorError
from opportune.feature import Feature, Link
from opportune.i18n.languages import get_language
from opportune.web.forms.forms import Form
from opportune.web.forms.hidden_fields import form_token
from opportune.web.forms.kept_form import find_kept_form, restore_kept_form
from opportune.web.language import language_choices, page_languages
from opportune.web.rendering import markdown
from opportune.web.rendering.environment import TemplateEnvironment, TemplateLoader
from opportune.web.rendering.flash import has_messages, take_messages
from opportune.web.rendering.template_blocks import render_block
from opportune.web.static.files import assets
from opportune.web.static.generated import file_of_language
from opportune.web.static.typeface import preloaded_file
from opportune.web.time_zone import format_iso

BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)


class Templates:
    """Renders `templates/<feature>/<page>.html`.

    Templates have the context of the route, `request`, `user` (signed in, or None), `navigation`, `settings`,
    `asset(name)` and `url(path)`.
    """

    def __init__(self) -> None:
        loader = TemplateLoader()
        self.environment = TemplateEnvironment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self.environment.globals |= {
            "asset": assets.url,
            "get_language": get_language,
            "language_choices": language_choices,
            "page_languages": page_languages,
            "script_texts": file_of_language,
            "typeface": preloaded_file,
            "has_messages": has_messages,
            "menu_links": menu_links,
            "take_messages": take_messages,
            "form_token": form_token,
            "kept_form": find_kept_form,
        }
        self.environment.filters |= {"iso": format_iso, "markdown": markdown.render_element}
        self.built_in_names = {*self.environment.globals, *self.environment.filters}

    def add_helpers(self, features: Iterable[Feature]) -> None:
        """Add the globals and filters of these features."""
        for feature in features:
            self.environment.globals |= feature.site.template_globals
            self.environment.filters |= feature.site.template_filters

    def render(
        self, request: Request, name: str, context: Mapping[str, Any] | None = None, status_code: int = 200
    ) -> HTMLResponse:
        """Return a page as a response."""
        return HTMLResponse(self.render_to_string(request, name, context), status_code)

    def render_to_string(self, request: Request, name: str, context: Mapping[str, Any] | None = None) -> str:
        """Return a rendered page as text."""
        html = self.environment.get_template(name).render(self._prepare(request, context or {}))
        return self._with_banner(request, html) if request.scope.get("state", {}).get("impersonator") else html

    def _with_banner(self, request: Request, html: str) -> str:
        """Add the banner of impersonation, which lets the superuser end it."""
        banner = self.environment.get_template("impersonation.html").render(
            user=request.state.user,
            ends_at=request.state.session.expires_at,
            may_write=request.state.session.impersonator_may_write,
        )
        return BODY.sub(lambda match: match[0] + banner, html, count=1)

    def render_form(
        self, request: Request, name: str, form: Form[Any], context: Mapping[str, Any] | None = None
    ) -> HTMLResponse:
        """Render a page with a form. If htmx sent an invalid form, render only the block `form`."""
        context = {**(context or {}), "form": form}
        if form.errors and is_htmx(request):
            return self.render_block(request, name, "form", context, form.status)
        return self.render(request, name, context, form.status)

    def render_block(
        self, request: Request, name: str, block: str, context: Mapping[str, Any] | None = None, status_code: int = 200
    ) -> HTMLResponse:
        """Render one block of a page, for htmx, and add the flash messages to the page."""
        html = self.render_block_to_string(request, name, block, context)
        if is_htmx(request) and has_messages(request):
            html += self.render_to_string(request, "messages_partial.html")
        return self.partial(html, status_code)

    @staticmethod
    def partial(html: str, status_code: int = 200) -> HTMLResponse:
        """Return a rendered part of a page as a response."""
        # The page has the same URL, so the back button must not show a cached part instead of it.
        return HTMLResponse(html, status_code, {"Vary": "HX-Request-Type"})

    def render_block_to_string(
        self, request: Request, name: str, block: str, context: Mapping[str, Any] | None = None
    ) -> str:
        """Render one block of a page as text, for a stream."""
        return render_block(self.environment, name, block, self._prepare(request, context or {}))

    @staticmethod
    def _prepare(request: Request, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Show kept texts in the forms of a page, and add the variables of all pages.

        Raises:
            OperatorError: A variable of the page would hide a function.
        """
        if "url" in variables:
            raise OperatorError("A page has a variable `url`, which hides the function url(path). Rename the variable.")
        forms = [value for value in variables.values() if isinstance(value, Form)]
        restore_kept_form(request, *forms)
        state = request.app.state
        state_of_request = request.scope.get("state", {})  # `request.state` takes four calls
        return {
            "request": request,
            "user": state_of_request.get("user"),
            "uploads_notice": uploads_notice(request, forms),
            # False on error pages without a route, because no dependency has loaded the user.
            "user_is_known": "user" in state_of_request,
            "navigation": state.navigation,
            "navigation_templates": state.navigation_templates,
            "settings": state.settings,
            **variables,
        }


@pass_context
def menu_links(context: Context) -> tuple[tuple[Link, bool], ...]:
    """Return the links of the navigation that the user may follow, and whether the page is below each link."""
    path = f"{context['request'].scope['path']}/"
    user = context["user"]
    links = [link for link in context["navigation"] if user or not link.signed_in]
    allowed = [link for link in links if not link.permission or context.call(context["may"], *link.permission)]
    return tuple([(link, path.startswith(f"{link.path}/")) for link in allowed])


def uploads_notice(request: Request, forms: Iterable[Form[Any]]) -> str:
    """Return a warning for staff on pages with uploads, if the host deletes files at restarts."""
    if not any(form.takes_files for form in forms):
        return ""
    user = getattr(request.state, "user", None)
    return request.app.state.storage.data_loss_warning if user and user.may_enter_admin else ""


def is_htmx(request: Request) -> bool:
    """Return whether htmx requests a part of a page. Links and the back button request full pages."""
    return request.headers.get("HX-Request-Type") == "partial"


def redirect(request: Request, path: str) -> Response:
    """Redirect to a page after a form, with a full page load for htmx.

    Args:
        request: The current request.
        path: Path of the page on this site.
    """
    response = RedirectResponse(path, 303)  # encodes the path
    return Response(headers={"HX-Redirect": response.headers["Location"]}) if is_htmx(request) else response


templates = Templates()
