from opportune.feature import Feature

agents = Feature(
    "agents", "Tools for coding agents: `oppman.py mcp`.", commands={"mcp": "opportune.contrib.agents.mcp"}
)
