from opportune.feature import Feature

agents = Feature(
    name="agents",
    summary="Tools for coding agents: `oppman.py mcp`.",
    commands={"mcp": "opportune.contrib.agents.mcp"},
)
