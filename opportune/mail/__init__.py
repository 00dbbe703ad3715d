"""Mail: text and HTML from templates, sent as a job after the change that it tells of is committed."""

from opportune.mail.email import Letter, compose
from opportune.mail.errors import LetterError
from opportune.mail.sending import post

__all__ = ["Letter", "LetterError", "compose", "post"]
