"""Variables of prompts."""

import pytest
from pydantic import ValidationError

from opportune.contrib.assistants import fill, variable_form
from opportune.contrib.assistants.variables import variables_of


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("No variable, { no } {{}} {{ }}.", {}),
        ("{{topic}} and {{ topic }}", {"topic": ()}),
        ("{{tone: friendly | formal }}", {"tone": ("friendly", "formal")}),
        ("{{tone}} {{tone:friendly|formal}}", {"tone": ("friendly", "formal")}),
        ("{{Größe}} {{two words}}", {"Größe": (), "two words": ()}),
        ("{{topic:}} {{a{{b}}", {"topic": (), "b": ()}),
    ],
)
def test_variables_are_found(text: str, variables: dict[str, tuple[str, ...]]) -> None:
    assert variables_of(text) == variables


def test_values_replace_variables() -> None:
    text = "Write about {{topic}} in a {{tone:friendly|formal}} tone, {{ topic }}!"
    values = variable_form(text).model_validate({"variable_0": "tea", "variable_1": "formal"})
    assert fill(text, values) == "Write about tea in a formal tone, tea!"


def test_variables_in_values_stay_text() -> None:
    text = "{{a}} {{b}}"
    values = variable_form(text).model_validate({"variable_0": "{{b}}", "variable_1": "\\1"})
    assert fill(text, values) == "{{b}} \\1"


def test_form_refuses_other_choices() -> None:
    form = variable_form("{{tone:friendly|formal}}")
    with pytest.raises(ValidationError):
        form.model_validate({"variable_0": "rude"})
