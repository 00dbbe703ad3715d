from opportune.contrib.answers.testing import short_intervals
from tests.opportune.contrib.answers.waiting_answers import start_manager

__all__ = ["short_intervals", "start_manager"]  # fixtures
