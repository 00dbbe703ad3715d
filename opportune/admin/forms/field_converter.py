"""Conversion of the columns of a model to form fields."""

from typing import Any

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
            defaults: dict[str, Any] = {}
            if info and info.description:
                defaults["description"] = info.description
            if prop.key in (options.get("form_ajax_refs") or ()):
                defaults["allow_blank"] = column.nullable
            elif not options.get("override"):
                options["override"] = TranslatedField if is_translated(column) else ModelField
                defaults |= {"schema": value_schema(model, prop.key), "column": column}
                if info and not info.is_required() and column.default is None:
                    default = info.get_default(call_default_factory=True, validated_data={})
                    defaults |= {"default": default, "has_default": True}
            arguments = defaults | options["field_args"]
            texts = {name: gettext_lazy(arguments[name]) for name in FIELD_TEXTS if name in arguments}
            options["field_args"] = arguments | texts
        return await super().convert(model, prop, *args, **options)
