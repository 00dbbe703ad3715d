"""Mail: text and HTML from templates, sent as a job after the change that it tells of is committed."""

from app.core.mail.errors import LetterError
from app.core.mail.letter import Letter, compose
from app.core.mail.sending import post

__all__ = ["Letter", "LetterError", "compose", "post"]
