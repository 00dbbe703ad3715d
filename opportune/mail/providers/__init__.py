"""Mail providers with an API over HTTPS."""
