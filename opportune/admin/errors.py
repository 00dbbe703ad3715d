"""The error for changes that the admin refuses."""

from opportune.errors import FieldErrors


class ValidationRefused(FieldErrors):
    """A change is refused. The user sees the message beside `fields` or, without fields, above the form."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(dict.fromkeys(fields or [""], message))
