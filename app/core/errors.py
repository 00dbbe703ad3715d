"""The one exception that speaks to whoever runs the command."""


class OperatorError(Exception):
    """Something that the person at the command line can put right.

    The message is one line that names the cause and the next step, and never a secret. The command line prints it on
    stderr and exits with 1; nothing else about it is shown.
    """
