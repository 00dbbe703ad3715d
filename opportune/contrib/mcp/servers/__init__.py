"""Tools of MCP servers of others, for the site's own answers."""
