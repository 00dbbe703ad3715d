"""Translation in templates: `{{ _("Books") }}`, `{{ _("Signed in as %(name)s.", name=user) }}` and `{% trans %}`."""

from typing import Any

from jinja2 import Environment, pass_eval_context
from jinja2.filters import do_mark_safe
from jinja2.nodes import EvalContext

from opportune.i18n import translation
from opportune.i18n.formats import format_number


@pass_eval_context
def _gettext(context: EvalContext, text: str, **values: Any) -> str:
    return _pgettext(context, "", text, **values)


@pass_eval_context
def _pgettext(context: EvalContext, message_context: str, text: str, **values: Any) -> str:
    message = translation.translate(text, context=message_context)
    return translation.fill_in(_format(context, message), _format(context, text), values)


@pass_eval_context
def _ngettext(context: EvalContext, singular: str, plural: str, num: int, **values: Any) -> str:
    return _npgettext(context, "", singular, plural, num, **values)


@pass_eval_context
def _npgettext(context: EvalContext, message_context: str, singular: str, plural: str, num: int, **values: Any) -> str:
    message = translation.translate(singular, plural, num, context=message_context)
    text = singular if num == 1 else plural
    return translation.fill_in(_format(context, message), _format(context, text), {"num": num, **values})


def _format(context: EvalContext, text: str) -> str:
    """Return the text as HTML in templates of HTML, so that only the values are escaped."""
    return do_mark_safe(text) if context.autoescape else text


def add_translation(environment: Environment) -> None:
    """Add the functions, the tag `{% trans %}` and the filter `number` to an environment.

    Texts in `_()` are escaped like other values. Texts in `{% trans %}` and `ngettext()` may contain HTML.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # set by the extension
    environment.filters["number"] = format_number
    environment.globals |= {
        "_": translation.gettext,
        "gettext": _gettext,
        "lower_name": translation.lower_name,
        "ngettext": _ngettext,
        "npgettext": _npgettext,
        "pgettext": _pgettext,
    }
