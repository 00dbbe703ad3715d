"""Templates of e-mails. HTML is escaped in them, and plain text is not."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateNotFound, select_autoescape

from opportune.i18n.languages import get_language
from opportune.mail.addresses import InvalidEmailError
from opportune.web.rendering.environment import TemplateEnvironment, TemplateLoader
from opportune.web.static.files import assets

SUBJECT_PREFIX = "Subject: "
END_OF_TRANSLATION = re.compile(r"\bendtrans\s*%}")
"""End of a translated text. `+` keeps the line break after it."""


class EmailTemplateLoader(TemplateLoader):
    """Loader that splits `<name>.txt`: its first line is the template `<name>.subject`, the rest is `<name>.txt`.

    With two templates, no value in the subject can add lines to the text.
    """

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        name, _, suffix = template.rpartition(".")
        if suffix not in ("subject", "txt"):
            return super().get_source(environment, template)
        source, path, is_fresh = super().get_source(environment, f"{name}.txt")
        if source.startswith(SUBJECT_PREFIX):
            subject, _, text = source.removeprefix(SUBJECT_PREFIX).partition("\n")
            source = subject if suffix == "subject" else text.lstrip("\n")
            source = END_OF_TRANSLATION.sub("endtrans +%}", source)
        elif suffix == "subject":
            raise InvalidEmailError(f"templates/{name}.txt must begin with a line `{SUBJECT_PREFIX}…`.")
        return source, path, is_fresh


environment = TemplateEnvironment(
    loader=EmailTemplateLoader(),
    autoescape=select_autoescape(["html"], default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
environment.globals["get_language"] = get_language
environment.globals["primary_colour"] = assets.primary_colour  # mail programs cannot load style sheets


def render(name: str, context: Mapping[str, Any], *, required: bool = True) -> str:
    """Render a template. A missing template that is not required is rendered as an empty text."""
    try:
        template = environment.get_template(name)
    except TemplateNotFound:
        if required:
            raise
        return ""
    return template.render(context)
