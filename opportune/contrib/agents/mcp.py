"""Serve tools for coding agents over standard input and output (MCP).

Agents start this command themselves. The file .mcp.json of a project names it.
"""

from opportune.contrib.agents.tools import create_server, development_settings


def command() -> None:
    development_settings()
    create_server().run("stdio")
