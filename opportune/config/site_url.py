"""Public URL of the site."""

from opportune.config.settings import Settings


def site_url(settings: Settings) -> str:
    """Return the public URL of the site. The host of a request is not trusted: an attacker could choose it."""
    if settings.base_url:
        return settings.base_url
    hosts = [name for name in settings.allowed_hosts if "*" not in name]
    if settings.is_production and hosts:
        return f"https://{hosts[0]}"
    return f"{'https' if settings.local_https else 'http'}://127.0.0.1:{settings.port}"
