"""The settings of this site: the framework's, and yours."""

import opportune.config


class Settings(opportune.config.Settings):
    """One attribute per setting, from the environment or `.env`: `site_name` is SITE_NAME there."""

    site_name: str = "Opportune"
    """What pages, e-mails, the admin and the API call this site."""
