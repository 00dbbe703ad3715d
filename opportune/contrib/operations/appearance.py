"""The page /admin/appearance, on which superusers try themes. Only development writes the project's file."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from sqladmin import expose
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.templates import render_page
from opportune.config import appearance
from opportune.config.themes import CORNERS, DENSITIES, THEMES
from opportune.errors import require_found
from opportune.i18n import gettext
from opportune.project.layout import PROJECT
from opportune.web.rendering.flash import flash


class AppearanceAdmin(SuperuserOnly):
    name = "Appearance"
    icon, category = "ti ti-palette", "Operations"

    @expose("/appearance", identity="appearance")
    async def show(self, request: Request) -> Response:
        path = PROJECT / appearance.FILE
        sheet = await asyncio.to_thread(_read, path)
        stored = appearance.read_appearance(sheet) if sheet else appearance.DEFAULT
        selected = read_choice(request.query_params) or stored or appearance.DEFAULT
        context = {
            "title": self.name,
            "file": appearance.FILE,
            "themes": THEMES,
            "choices": {"corners": CORNERS, "density": DENSITIES},
            "appearance": selected,
            "sheet": appearance.style_sheet(selected),
            "has_other_rules": stored is None,
            "may_write": may_write(request, path),
        }
        return await render_page(request, self, "operations/appearance.html", context)

    @expose("/appearance/preview.css", identity="appearance-preview")
    async def preview(self, request: Request) -> Response:
        selected = require_found(read_choice(request.query_params))
        return Response(appearance.style_sheet(selected), media_type="text/css")

    @expose("/appearance/save", methods=["POST"], identity="appearance-save")
    async def save(self, request: Request) -> Response:
        if not may_write(request, PROJECT / appearance.FILE):
            raise HTTPException(403)
        selected = read_choice(dict(await read_form_texts(request)))
        if selected is None:
            flash(request, "Select a theme, corners and a density.", "danger")
        else:
            await asyncio.to_thread(appearance.write_style_sheet, PROJECT, selected)
            flash(request, gettext("The appearance is saved in %(file)s. Commit this file.", file=appearance.FILE))
        return RedirectResponse(request.url_for("admin:view-appearance"), 303)


def read_choice(values: Mapping[str, object]) -> appearance.Appearance | None:
    """Return the appearance of a query or form, or None if it is not valid."""
    return appearance.find_appearance(*(str(values.get(name, "")) for name in appearance.Appearance._fields))


def may_write(request: Request, path: Path) -> bool:
    """Return whether the page may write the project's file. In production a deployment would overwrite it."""
    folder = path.parent if path.parent.is_dir() else path.parent.parent
    return request.app.state.settings.environment == "development" and os.access(folder, os.W_OK)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
