"""Texts of a form that was not processed, to show the form again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from starlette.datastructures import FormData
from starlette.requests import HTTPConnection

from opportune.web.forms.forms import Form
from opportune.web.rendering.cached_part import exclude_from_cache

QUERY_PARAMETER = "kept_form"
"""Query parameter with the key of a kept form. `SubmissionMiddleware` moves it to the state of the request."""
KEY_IN_STATE = "kept_form_key"
FORM_IN_STATE = "kept_form"
"""Key of the request's state with the `KeptForm`."""
BUTTON_VALUES = {"", "true", "false", "on", "off"}
"""Values of buttons and checkboxes."""


@dataclass
class KeptForm:
    """A form that was sent after the session had ended, or when another user was signed in."""

    fields: FormData
    names: Collection[str] = ()
    """Names of all fields, also of those whose values are not kept."""
    url: str = ""
    """URL of this page with the key of the form."""
    notice: str = ""
    """Reason why the form was not processed, other than the user."""
    is_gone: bool = False
    """Whether the texts have expired or belong to another user."""
    is_of_other_user: bool = False
    """Whether the form was rendered for another user. The current user sent it."""
    is_shown: bool = False
    """Whether a form of the page shows the texts."""

    @property
    def texts(self) -> list[str]:
        """Texts to show on a page without the form."""
        values = [value for _, value in self.fields.multi_items() if isinstance(value, str)]
        return [value for value in values if value not in BUTTON_VALUES and not value.isdigit()]


def find_kept_form(request: HTTPConnection) -> KeptForm | None:
    exclude_from_cache("a kept form")
    return cast("KeptForm | None", request.scope.get("state", {}).get(FORM_IN_STATE))


def _waiting_form(request: HTTPConnection) -> KeptForm | None:
    """Return the kept form whose texts no form of the page shows yet."""
    kept = find_kept_form(request)
    return kept if kept and not (kept.is_gone or kept.is_shown) else None


def take_kept_fields(request: HTTPConnection) -> FormData | None:
    """Return the fields for a page that has one form. None if no form was kept."""
    kept = _waiting_form(request)
    if kept is None:
        return None
    kept.is_shown = True
    return kept.fields


def restore_kept_form(request: HTTPConnection, *forms: Form[Any]) -> None:
    """Fill in the form that has most of the kept fields and fewest others. The page shows the texts if none has any."""
    kept = _waiting_form(request)
    if kept is None:
        return
    fitting = [form for form in forms if any(form.has_field(name) for name in kept.fields)]
    if fitting:
        best = max(fitting, key=lambda form: (sum(map(form.has_field, kept.names)), -len(form.controls)))
        best.restore(kept.fields)
        kept.is_shown = True
