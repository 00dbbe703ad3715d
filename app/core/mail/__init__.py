"""Mail: text and HTML from templates, sent as a job after the change that it tells of is committed."""

from app.core.mail.letter import Letter, compose, post

__all__ = ["Letter", "compose", "post"]
