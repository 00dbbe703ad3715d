from tests.opportune.contrib.teams.conftest import clients, crew

__all__ = ["clients", "crew"]  # fixtures: a team with a user of each role, and their browsers
