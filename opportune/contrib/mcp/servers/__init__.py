"""Tools of other MCP servers for the site's LLM answers."""
