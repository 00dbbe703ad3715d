"""Variables in prompts: `{{name}}` is a text, and `{{tone:friendly|formal}}` a choice."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, create_model

from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import Text

MAX_PROMPT_LENGTH = 8_000
MAX_VARIABLES = 10
MAX_VALUE_LENGTH = 4_000
TOO_MANY_VARIABLES = _l("Please use at most 10 variables.")
# Two braces around a name, and after a colon the choices.
VARIABLE = re.compile(r"\{\{[ \t]*([^{}:|\s][^{}:|\n]{0,39}?)[ \t]*(?::([^{}\n]*))?\}\}")


def variables_of(text: str) -> dict[str, tuple[str, ...]]:
    """Return the choices of each variable by name, in order. A variable without choices is a text."""
    variables: dict[str, tuple[str, ...]] = {}
    for name, choices in VARIABLE.findall(text):
        stripped = [choice.strip() for choice in choices.split("|")]
        variables[name] = variables.get(name) or tuple(filter(None, stripped))
    return variables


def variable_form(text: str) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for number, (name, choices) in enumerate(variables_of(text).items()):
        if choices:
            fields[_field(number)] = (Literal[choices], Field(choices[0], title=name))
        else:
            fields[_field(number)] = (Text, Field(min_length=1, max_length=MAX_VALUE_LENGTH, title=name))
    return create_model("Variables", **fields)


def fill(text: str, values: BaseModel) -> str:
    """Replace the variables by the values of their form. Braces in values have no meaning."""
    numbers = {name: number for number, name in enumerate(variables_of(text))}
    return VARIABLE.sub(lambda match: getattr(values, _field(numbers[match[1]])), text)


def _field(number: int) -> str:
    return f"variable_{number}"


def _require_few_variables(text: str) -> str:
    if len(variables_of(text)) > MAX_VARIABLES:
        raise ValueError(TOO_MANY_VARIABLES)
    return text


PromptText = Annotated[Text, Field(min_length=1, max_length=MAX_PROMPT_LENGTH), AfterValidator(_require_few_variables)]
