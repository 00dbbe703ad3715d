"""Tools for coding agents that work on the project, as an MCP server over standard input and output."""
