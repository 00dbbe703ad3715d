from opportune.errors import OperatorError


class LetterError(ValueError):
    """This letter cannot be written as it is: one line that says why."""


class DeliveryError(OperatorError):
    """It could not be sent now; later it may be. One line without secrets."""


class RefusedError(DeliveryError):
    """It is not taken, and would not be the next time."""
