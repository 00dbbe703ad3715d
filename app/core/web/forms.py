"""HTML forms into Pydantic models, with errors to show beside the fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)

# Never sent back into a page.
SECRETS = ("password",)


@dataclass
class Form(Generic[M]):
    """A form as it was sent: `data` where it is valid, else `errors` by field (`""` for the form as a whole)."""

    values: dict[str, str] = field(default_factory=dict)
    data: M | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def value(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)


async def read_form(request: Request, model: type[M]) -> Form[M]:
    """Read and validate the body. An empty field counts as left out, as browsers send what was not filled in."""
    sent = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    form: Form[M] = Form(values={name: value for name, value in sent.items() if not any(s in name for s in SECRETS)})
    try:
        form.data = model.model_validate({name: value for name, value in sent.items() if value != ""})
    except ValidationError as error:
        for item in error.errors():
            name = str(item["loc"][0]) if item["loc"] else ""
            form.errors.setdefault(name, in_words(item))
    return form


def in_words(item: Mapping[str, Any]) -> str:
    """One of Pydantic's errors as a sentence for whoever filled in the field."""
    limits = item.get("ctx", {})
    match item["type"]:
        case "missing":
            return "Please fill this in."
        case "string_too_short" | "too_short":
            least = limits["min_length"]
            return "Please fill this in." if least == 1 else f"Please write at least {least} characters."
        case "string_too_long" | "too_long":
            return f"Please write at most {limits['max_length']} characters."
        case "date_from_datetime_parsing" | "date_parsing" | "date_type":
            return "Please give a date, such as 2026-12-31."
        case "int_parsing" | "int_type" | "float_parsing" | "decimal_parsing":
            return "Please give a number."
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[:1].upper() + message[1:].rstrip(".") + "."
