"""What programs do to an account, on the page of what happened to it."""

from opportune.accounts.events.kinds import EventKind, add_event_kind

add_event_kind(
    EventKind(
        "program_connected",
        "{name} may use your account",
        "You have let a program in, which may do this in your name from now on: {scopes}. It is on the page of"
        " your profile, where you can end that.",
        icon="ti-plug-connected",
    )
)
add_event_kind(
    EventKind(
        "program_code_reused",
        "{name} was signed out",
        "The code that let it in was used twice: it has a mistake, or somebody else has a copy. What came of it has"
        " ended, so let the program in again.",
        icon="ti-plug-connected",
    )
)
