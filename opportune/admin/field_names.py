"""Names of the columns and relationships on each page of a view, without those hidden from the current user."""

from typing import Any

from opportune.admin.crud_rules import CrudRules
from opportune.admin.current_request import current_request
from opportune.admin.sqladmin_adapter import AdapterView, name_in_option


class FieldNames:
    """The names of a view, such as `view.names.in_list`."""

    def __init__(self, view: AdapterView, rules: CrudRules) -> None:
        self._view, self._rules = view, rules
        self._in_list, self._in_details = view.get_list_columns(), view.get_details_columns()
        self._in_form, self._in_export = view.get_form_columns(), view.get_export_columns()

    def of(self, value: Any) -> str:
        """Return the name in an option, which may be an attribute such as `Book.title`.

        A relationship to one row has the name of its foreign key column.
        """
        return name_in_option(self._view, value)

    @property
    def in_list(self) -> list[str]:
        return self._visible(self._in_list)

    @property
    def in_details(self) -> list[str]:
        return self._visible(self._in_details)

    @property
    def in_form(self) -> list[str]:
        return self._visible(self._in_form)

    @property
    def in_export(self) -> list[str]:
        return self._visible(self._in_export)

    @property
    def searched(self) -> list[str]:
        return self._visible(self._view.all_search_names)

    @property
    def sortable(self) -> list[str]:
        return self._visible(self._view.all_sort_names)

    def hides(self, path: str) -> bool:
        """Return whether a column, a relationship or a path such as `author.name` is hidden from the current user."""
        mapper, rules = self._view.mapper, self._rules_for(self._view.model)
        for name in path.split("."):
            if rules and name in rules.hidden:
                return True
            if name not in mapper.relationships:
                return False
            mapper = mapper.relationships[name].mapper
            rules = self._rules_for(mapper.class_)
        return False

    def _rules_for(self, model: type[Any]) -> CrudRules | None:
        if model is self._view.model:
            return self._rules
        view = self._view.site.view_for_model(model)
        return view.rules if view else None

    def _visible(self, names: list[str]) -> list[str]:
        if current_request.get() is None or not self._view.site.has_field_rules:
            return names
        return [name for name in names if not self.hides(name)]
