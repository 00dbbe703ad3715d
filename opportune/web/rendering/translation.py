"""Translation in templates: `{{ _("Books") }}`, `{{ _("Signed in as %(name)s.", name=user) }}` and `{% trans %}`."""

from typing import Any

from jinja2 import Environment, pass_eval_context
from jinja2.filters import do_mark_safe
from jinja2.nodes import EvalContext

from opportune.i18n import translation
from opportune.i18n.formats import format_list, format_number, format_percent, format_size


@pass_eval_context
def _gettext(context: EvalContext, text: str, **values: Any) -> str:
    return _fill_in(context, translation.translate(text), text, values)


@pass_eval_context
def _pgettext(context: EvalContext, message_context: str, text: str, **values: Any) -> str:
    return _fill_in(context, translation.translate(text, context=message_context), text, values)


@pass_eval_context
def _ngettext(context: EvalContext, singular: str, plural: str, num: int, **values: Any) -> str:
    return _npgettext(context, "", singular, plural, num, **values)


@pass_eval_context
def _npgettext(context: EvalContext, message_context: str, singular: str, plural: str, num: int, **values: Any) -> str:
    message = translation.translate(singular, plural, num, context=message_context)
    return _fill_in(context, message, singular if num == 1 else plural, {"num": num, **values})


def _fill_in(context: EvalContext, message: str, text: str, values: dict[str, Any]) -> str:
    """Fill in placeholders. In templates of HTML, the texts are HTML, so that only the values are escaped."""
    to_text = do_mark_safe if context.autoescape else str
    if "%" not in message:  # saves time
        return to_text(message)
    return translation.fill_in(to_text(message), to_text(text), values)


def add_translation(environment: Environment) -> None:
    """Add the functions, the tag `{% trans %}` and the filters of numbers and lists to an environment.

    Texts in `_()` are escaped like other values. Texts in `{% trans %}` and `ngettext()` may contain HTML.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # set by the extension
    formats = {"filesize": format_size, "join_list": format_list, "number": format_number, "percent": format_percent}
    environment.filters |= formats
    environment.globals |= {
        "_": translation.gettext,
        "gettext": _gettext,
        "lower_name": translation.lower_name,
        "ngettext": _ngettext,
        "npgettext": _npgettext,
        "pgettext": _pgettext,
    }
