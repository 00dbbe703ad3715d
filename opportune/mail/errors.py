from opportune.errors import OperatorError


class InvalidEmailError(ValueError):
    """An e-mail that cannot be written as it is; the message is one line that says why."""


class DeliveryError(OperatorError):
    """An e-mail that could not be sent now and may be later; the message is one line without secrets."""

    retry_after: float | None = None
    """Seconds for which the server asks to be left in peace."""


class PermanentDeliveryError(DeliveryError):
    """An e-mail that the server refuses, and would refuse the next time."""
