"""Refused changes, with messages for the user."""

from opportune.errors import FieldErrors


class ValidationRefused(FieldErrors):
    """A refused change. The message is for the user, shown at `fields` or, without fields, above the form."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(dict.fromkeys(fields or [""], message))
