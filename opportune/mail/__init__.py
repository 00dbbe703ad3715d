"""E-mails: text and HTML from templates, sent by a job after the transaction is committed."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
