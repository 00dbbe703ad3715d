"""Settings of this site: the framework's and yours."""

import opportune.config


class Settings(opportune.config.Settings):
    """One attribute for each setting. `site_name` is SITE_NAME in the environment or `.env`."""

    site_name: str = "Opportune"
    """Name of the site in pages, e-mails, the admin and the API."""
    site_description: str = "Accounts, an admin, jobs, e-mail and language models on FastAPI."  # not translated
    """One sentence about the site, for the landing page and search engines."""
