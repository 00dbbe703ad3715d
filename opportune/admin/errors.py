"""The error for changes that the admin refuses."""

from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l


class ValidationRefused(FieldErrors):
    """A change is refused. The user sees the message beside `fields` or, without fields, above the form."""

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(dict.fromkeys(fields or [""], message))


class RowChanged(ValidationRefused):
    """Another user has changed the row after the request has read it."""

    def __init__(self) -> None:
        super().__init__(_l("Another user has just changed this row. Save again to see the change."))
