"""Passwords of a PostgreSQL URL that a file or a function of the project contains."""

import re
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Self

from sqlalchemy.exc import OperationalError

from opportune.db.url.parser import InvalidUrl
from opportune.project.layout import PROJECT

FILE, FUNCTION = "password_file", "password_from"
FUNCTION_NAME = re.compile(r"\w+(\.\w+)*:\w+")


@dataclass(frozen=True)
class PasswordSource:
    """Options of a URL that say where its password is."""

    file: str = ""
    function: str = ""
    """Function such as `app.database:make_token`. It is called with host, port and user."""

    @classmethod
    def pop_from(cls, options: dict[str, str], password: str) -> Self | None:
        """Remove the options of a password source. None if there are none.

        Raises:
            InvalidUrl: The options conflict, or the function has no valid name.
        """
        source = cls(options.pop(FILE, ""), options.pop(FUNCTION, ""))
        if not (source.file or source.function):
            return None
        if password or (source.file and source.function):
            raise InvalidUrl(f"has several passwords. Use only one of a password, {FILE} and {FUNCTION}.")
        if source.function and not FUNCTION_NAME.fullmatch(source.function):
            raise InvalidUrl(f"has an invalid {FUNCTION}. Name a function: {FUNCTION}=app.database:make_token")
        return source

    def read(self, host: str, port: int | None, user: str) -> str:
        """Return the current password.

        Raises:
            sqlalchemy.exc.OperationalError: It cannot be read. The message contains no secret.
        """
        try:
            if self.file:
                password = (PROJECT / self.file).read_text(encoding="utf-8").strip()
            else:
                password = str(resolve_name(self.function)(host, port, user))
        except Exception as error:  # of a function of the project, whose message may contain secrets
            reason = Exception(f"the password cannot be read ({type(error).__name__})")
            raise OperationalError(None, None, reason) from error
        return password
