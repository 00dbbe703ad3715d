"""Knowledge base: documents of users, teams and the site, which language models search and cite."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
