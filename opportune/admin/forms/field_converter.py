"""Conversion of the columns of a model to form fields."""

from typing import Any

from pydantic.fields import FieldInfo
from sqladmin.forms import ModelConverter
from sqlalchemy.orm import ColumnProperty

from opportune.admin.forms.model_fields import ModelField
from opportune.admin.forms.translated_field import TranslatedField
from opportune.crud.schemas import value_schema
from opportune.db.models.translated import is_translated
from opportune.i18n import gettext_lazy

FIELD_TEXTS = ("label", "description")
"""Options of `form_args` that pages translate."""


class AdminConverter(ModelConverter):
    """Converts columns to `ModelField`, unless the view names a WTForms field in `form_overrides`."""

    async def convert(self, model: Any, prop: Any, *args: Any, **options: Any) -> Any:
        if isinstance(prop, ColumnProperty):
            column = prop.columns[0]
            info = getattr(model, "model_fields", {}).get(prop.key)
            arguments: dict[str, Any] = {"description": info.description} if info and info.description else {}
            if prop.key in (options.get("form_ajax_refs") or ()):
                arguments["allow_blank"] = column.nullable
            elif not options.get("override"):
                options["override"] = TranslatedField if is_translated(column) else ModelField
                arguments |= {"schema": value_schema(model, prop.key), "column": column, **_default_of(info, column)}
            arguments |= options["field_args"]
            texts = {name: gettext_lazy(arguments[name]) for name in FIELD_TEXTS if name in arguments}
            options["field_args"] = arguments | texts
        return await super().convert(model, prop, *args, **options)


def _default_of(info: FieldInfo | None, column: Any) -> dict[str, Any]:
    """Return the arguments for the default value of a model's field. SQLAdmin reads that of the column."""
    if info is None or info.is_required() or column.default is not None:
        return {}
    return {"default": info.get_default(call_default_factory=True, validated_data={}), "has_default": True}
