"""Forms of a view for a request: their class, and the fields that the user may see and change."""

from typing import Any

from starlette.requests import Request

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.options import names_of_hook
from opportune.admin.views import AdminView


async def build_form_class(request: Request, view: AdminView, *, creating: bool) -> type[AdminForm]:
    form: type[AdminForm] = AdminForm
    if view.names.in_form:
        rules = view.form_rules or (view.form_create_rules if creating else view.form_edit_rules)
        form = await view.scaffold_form([view.names.of(name) for name in rules])
    return await view.form_extension.extend(form, request, creating=creating)


def shown_fields(request: Request, view: AdminView, row: Any) -> list[str]:
    """Return the names of `get_fields`, without those that are hidden from the user."""
    names = names_of_hook(view, "get_fields", view.get_fields(request, row))
    return [name for name in names if not view.names.hides(name)]


def unwritable_columns(request: Request, view: AdminView, row: Any) -> list[str]:
    """Return the names that this user may not change, because of the view's hooks or the rules of `crud`."""
    readonly = names_of_hook(view, "get_readonly_fields", view.get_readonly_fields(request, row))
    shown = names_of_hook(view, "get_fields", view.get_fields(request, row))
    fields = (*view.names.in_form, *view.form_extension.names)
    omitted = [name for name in fields if name not in shown]
    return list(dict.fromkeys((*readonly, *view.rules.locked, *omitted)))


def has_changed(view: AdminView, name: str, before: Any, after: Any) -> bool:
    """Return whether the value of a form field differs from the stored one. Linked rows have no order."""
    if name in view.many_to_many or name in view.form_extension.names:
        return sorted(map(str, before or ())) != sorted(map(str, after or ()))
    return bool(before != after)
