"""Model Context Protocol: the site's tools for other programs, and tools of other servers for the site."""
