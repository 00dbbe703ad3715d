"""The fixtures of all tests: `client`, `app`, `database`, `settings` and their like come from the framework."""

pytest_plugins = ["opportune.testing.plugin"]
