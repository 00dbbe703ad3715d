"""Labels and values on the page of one row, and the preview of its deletion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from sqlalchemy import inspect, select
from sqlalchemy.orm import Mapper

from opportune.crud.crud import Crud
from opportune.crud.declaration import Shape
from opportune.crud.formats import Format, format_file, format_for, name_of
from opportune.crud.registry import default_crud
from opportune.db.models.labels import label_of_class, label_of_field
from opportune.db.queries.deletion_impact import DeletionImpact, RelatedModel, TextOf, find_deletion_impact
from opportune.fields import File
from opportune.fields.display import is_markdown
from opportune.i18n import lower_name
from opportune.storage import Storage
from opportune.storage.public_folders import is_public
from opportune.web import markdown, url

LINK = Markup('<a href="{}">{}</a>')
BADGE = Markup('<span class="badge bg-secondary-lt me-1">{}</span>')


def default_fields(crud_class: type[Crud[Any]]) -> list[str]:
    """Return the fields of the API's response, without the id and the owner."""
    definition = crud_class.definition
    return [name for name in definition.serializer.names if name not in ("id", *definition.owners)]


@dataclass(frozen=True)
class RowFields:
    """The fields of one row, as the current user sees them."""

    crud: Crud[Any]
    row: Any
    formats: Mapping[str, Format]
    """Functions of the project that format a value, by field."""
    url_of: TextOf
    """Returns the URL of a row's page, or an empty text."""
    storage: Storage

    async def read_labelled(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return labels and values of non-empty fields. By default, all except the field that is the page's title."""
        if not names:
            fields = default_fields(type(self.crud))
            names = await self.crud.session.run_sync(lambda _: _without_title(self.row, fields))
        texts = await self.read_texts(names)
        return [(label, text) for label, text in texts.values() if text != ""]

    async def read_texts(self, names: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Return label and text of each field that is not hidden from the user."""
        visible = [name for name in names if not self.crud.hides(name)]
        # The title of a row may load related rows.
        texts = await self.crud.session.run_sync(lambda _: {name: self._text(name) for name in visible})
        for name in visible:
            value = getattr(self.row, name)
            if name in self.formats or not value:
                continue
            if isinstance(value, File):
                texts[name] = format_file(value, value.url() if is_public(value) else await self.storage.url(value))
            elif is_markdown(self._shape.model, name):
                texts[name] = await markdown.render_element_in_thread(value)
        return {name: (label_of_field(self._shape.model, name), text) for name, text in texts.items()}

    @property
    def _shape(self) -> Shape:
        return type(self.crud).definition.shape

    def _text(self, name: str) -> str:
        relation = self._shape.relation_of(name)
        value = getattr(self.row, relation or name)
        if format_ := self.formats.get(name):
            return format_(value)
        if relation:
            return "" if value is None else self._link_to(value)
        if name in self._shape.links:
            return Markup("").join(BADGE.format(self._link_to(related)) for related in value)
        return format_for(self._shape, name)(value)

    def _link_to(self, related: Any) -> str:
        row_url = self.url_of(related)
        return LINK.format(url(row_url), name_of(related)) if row_url else name_of(related)


def _without_title(row: Any, names: Sequence[str]) -> list[str]:
    """Return the fields whose value is not the title of the page."""
    title = name_of(row)
    return [name for name in names if getattr(row, name) != title]


async def deletion_impact(crud: Crud[Any], row: Any, url_of: TextOf) -> DeletionImpact:
    """Return what deleting a row does to related rows. Rows of models without a `Crud` class are only counted.

    `url_of` returns the URL of a related row, or an empty text. Moving a row to the trash does nothing to related
    rows.
    """
    if crud.definition.has_trash:
        return DeletionImpact()
    mapper: Mapper[Any] = inspect(crud.model)

    async def describe(model: type[Any], count: int, _column: str) -> RelatedModel:
        default = default_crud(model)
        label = label_of_class(default if default and count != 1 else model)
        visible = select(model).where(crud.visible(model)) if default else None
        return RelatedModel(lower_name(label), visible, url_of)

    links = {relation.secondary for other in mapper.registry.mappers for relation in other.relationships}
    return await find_deletion_impact(crud.session, mapper, crud.model.id == row.id, describe, name_of, links)
