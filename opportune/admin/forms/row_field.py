"""Form field that picks rows of another model, which are searched while the user types."""

from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from wtforms import Field, Form, ValidationError
from wtforms.widgets import html_params

from opportune.admin.authorization import may_create, may_list
from opportune.admin.forms.foreign_keys import LISTING_REQUIRED, MAX_SELECTED_ROWS, ForeignKeyLookup
from opportune.admin.forms.model_fields import NO_CHOICE
from opportune.admin.lists.row_keys import quote_key
from opportune.db.models.labels import title_of
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.controls import EMPTY_MESSAGES, RowChoices
from opportune.web.forms.schema_controls import PICKER
from opportune.web.rendering.templates import templates

TOO_MANY = _l("Choose at most %(num)s rows.")


class RowField(Field):  # type: ignore[misc]  # its base has no types
    """A picker for one row, or for several rows of a relationship. Without JavaScript, the user types ids."""

    def __init__(self, *args: Any, loader: ForeignKeyLookup, allow_blank: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.loader = loader
        self.allow_blank = allow_blank

    def process_data(self, value: Any) -> None:
        self.data = list(value or ()) if self.loader.is_many else value

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read the ids. If the form does not contain a many-to-many field, its linked rows are kept."""
        sent = ",".join(valuelist).split(",") if self.loader.is_many else valuelist
        ids = [text.strip() for text in sent if text.strip() not in ("", NO_CHOICE)]
        if not self.loader.is_many:
            self.data = self.loader.parse(ids[-1]) if ids else None
        elif valuelist:
            self.data = list(dict.fromkeys(map(self.loader.parse, ids)))
            if len(self.data) > MAX_SELECTED_ROWS:
                self.data = []
                raise ValueError(gettext(TOO_MANY, num=MAX_SELECTED_ROWS))

    def pre_validate(self, form: Form) -> None:
        if self.data is None and not self.allow_blank and not self.process_errors:
            raise ValidationError(EMPTY_MESSAGES[PICKER])

    async def widget(self, _field: Field, *, request: Request, url: str, **attributes: Any) -> Markup:
        """Render the field. Users who may not list the rows can only keep the choice, or own a new row themselves."""
        view = self.loader.view
        lookup_url = url if await may_list(request, view) else ""
        if self.data is None and not (lookup_url or self.allow_blank):
            self.data = self.loader.own_id(request)
        add_url = add_label = ""
        if view and view.is_accessible(request) and await may_create(request, view):
            add_url = str(request.url_for("admin:create", identity=view.identity))
            add_label = gettext("Add %(name)s", name=lower_name(view.name))
        rows = RowChoices(await self._row_names(request), lookup_url, add_url, add_label)
        attributes |= {"id": self.id, "name": self.name, "multiple": self.loader.is_many}
        attributes["class"] = str(attributes.get("class", "")).replace("form-control", "form-select")
        context = {"field": self, "rows": rows, "attributes": html_params(**attributes), "hint": LISTING_REQUIRED}
        return Markup(templates.environment.get_template("admin/picker.html").render(context))  # noqa: S704 - escaped

    async def _row_names(self, request: Request) -> dict[str, str]:
        """Return names by quoted id. Rows that are neither stored nor visible to the user have their id as name."""
        selected = self._to_ids(self.data)
        stored = self._to_ids(self.object_data)
        rows = await self.loader.referenced_rows(request, [key for key in selected if key in stored])
        if new_ids := [key for key in selected if key not in stored]:
            rows += await self.loader.visible_rows(request, new_ids)
        names = {self.loader.key_of(row): str(title_of(row)) for row in rows}
        return {quote_key(key): names.get(key, str(key)) for key in selected}

    def _to_ids(self, data: Any) -> list[Any]:
        if self.loader.is_many:
            return list(data or ())
        return [] if data is None else [data]
