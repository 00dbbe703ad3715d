"""Account events of programs."""

from opportune.accounts.events.kinds import EventKind

EVENTS = (
    EventKind(
        "program_connected",
        "{name} may use your account",
        "You have allowed a program to use your account: {scopes}. You can disconnect it on your profile page.",
        icon="ti-plug-connected",
    ),
    EventKind(
        "program_code_reused",
        "{name} was signed out",
        "Its authorization code was used twice. The program may have a bug, or another program may have a copy of the"
        " code. Its access has ended. Connect the program again.",
        icon="ti-plug-connected",
    ),
)
