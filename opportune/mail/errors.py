from opportune.errors import OperatorError


class InvalidEmailError(ValueError):
    """An invalid e-mail. The message is one line with the reason."""


class DeliveryError(OperatorError):
    """An e-mail that could not be sent now. The message is one line without secrets."""

    retry_after: float | None = None
    """Seconds until the server accepts another attempt, if it says so."""


class PermanentDeliveryError(DeliveryError):
    """An e-mail that the server refuses permanently."""
