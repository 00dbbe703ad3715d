from opportune.errors import OperatorError


class InvalidEmailError(ValueError):
    """This letter cannot be written as it is: one line that says why."""


class DeliveryError(OperatorError):
    """It could not be sent now; later it may be. One line without secrets."""


class PermanentDeliveryError(DeliveryError):
    """It is not taken, and would not be the next time."""
