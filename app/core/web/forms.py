"""HTML forms into Pydantic models, with errors to show beside the fields."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

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
            form.errors.setdefault(name, _sentence(item["type"], item["msg"]))
    return form


def _sentence(kind: str, message: str) -> str:
    if kind == "missing" or message == "String should have at least 1 character":
        return "Please fill this in."
    message = message.removeprefix("Value error, ")
    return message[:1].upper() + message[1:].rstrip(".") + "."
