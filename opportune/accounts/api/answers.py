from fastapi.exceptions import RequestValidationError

EMAIL_REQUESTED = "If this address is right, a letter is on its way."
"""Whether or not there is an account."""


def invalid(field: str, message: str) -> RequestValidationError:
    """The same answer as for what a schema refuses."""
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
