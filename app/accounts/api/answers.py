from fastapi.exceptions import RequestValidationError


def invalid(field: str, message: str) -> RequestValidationError:
    """The same answer as for what a schema refuses."""
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
