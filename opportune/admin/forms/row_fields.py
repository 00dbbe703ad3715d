"""Form fields that refer to rows of other models."""

from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from opportune.admin.authorization import may_list
from opportune.admin.forms.foreign_keys import LISTING_REQUIRED, ForeignKeyLookup, parse_id
from opportune.admin.forms.model_fields import NO_CHOICE
from opportune.admin.forms.wtforms_classes import Field, Form, ValidationError, html_params
from opportune.admin.protocols import View
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.fields import PICKER, RowChoices
from opportune.web.forms.forms import EMPTY_MESSAGES
from opportune.web.rendering.templates import templates

MAX_SELECTED_ROWS = 500
"""Maximum rows in one field. Each adds a query parameter and an option to the page."""
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
        texts = (text.strip() for sent in valuelist for text in (sent.split(",") if self.loader.is_many else [sent]))
        ids = [text for text in texts if text not in ("", NO_CHOICE)]
        if not self.loader.is_many:
            self.data = parse_id(ids[-1]) if ids else None
        elif valuelist:
            self.data = list(dict.fromkeys(map(parse_id, ids)))
            if len(self.data) > MAX_SELECTED_ROWS:
                self.data = []
                raise ValueError(gettext(TOO_MANY, num=MAX_SELECTED_ROWS))

    @property
    def stored_text(self) -> str:
        """The stored ids."""
        return ",".join(map(str, self._to_ids(self.object_data)))

    def pre_validate(self, form: Form) -> None:
        if self.data is None and not self.allow_blank and not self.process_errors:
            raise ValidationError(EMPTY_MESSAGES[PICKER])

    async def widget(self, _field: Field, *, request: Request, address: str, **attributes: Any) -> Markup:
        """Render the field. Users who may not list the rows can only keep the current choice."""
        view = self.loader.view
        add_url = str(request.url_for("admin:create", identity=view.identity)) if view else ""
        rows = RowChoices(
            await self._row_names(request),
            lookup_url=address if await may_list(request, view) else "",
            add_url=add_url if view and await _may_add(request, view) else "",
            add_label=gettext("Add %(name)s", name=view.name) if view else "",
        )
        attributes |= {"id": self.id, "name": self.name, "multiple": self.loader.is_many}
        if rows.lookup_url:
            attributes |= {"data-role": "select2-ajax", "data-url": address, "data-minimum-input-length": "0"}
            attributes["placeholder"] = gettext("Search")
            attributes["data-allow-blank"] = self.allow_blank and not self.loader.is_many
        else:
            attributes["class"] = str(attributes.get("class", "")).replace("form-control", "form-select")
        context = {"field": self, "rows": rows, "attributes": html_params(**attributes), "hint": LISTING_REQUIRED}
        return Markup(templates.environment.get_template("admin/picker.html").render(context))  # noqa: S704 - escaped

    async def _row_names(self, request: Request) -> dict[int, str]:
        """Return names by id. Rows that are neither stored nor visible to the user have their id as name."""
        selected, stored = self._to_ids(self.data), self._to_ids(self.object_data)
        stored_ids, new_ids = ([key for key in selected if (key in stored) is is_stored] for is_stored in (True, False))
        rows = [
            *(await self.loader.referenced_rows(request, stored_ids)),
            *(await self.loader.visible_rows(request, new_ids) if new_ids else ()),
        ]
        names = {row.id: self.loader.format(row)["text"] for row in rows}
        return {key: names.get(key, str(key)) for key in selected}

    def _to_ids(self, data: Any) -> list[int]:
        return list(data or ()) if self.loader.is_many else [data] if data else []


async def _may_add(request: Request, view: View) -> bool:
    return view.can_create and view.is_accessible(request) and await view.check_can_create(request)
