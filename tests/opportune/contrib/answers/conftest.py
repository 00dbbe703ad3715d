from opportune.contrib.answers.testing import manager, model, owner_id, short_intervals
from tests.opportune.contrib.answers.waiting_answers import start_manager

__all__ = ["manager", "model", "owner_id", "short_intervals", "start_manager"]  # fixtures
