from opportune.contrib.answers.testing import manager, model, owner_id, short_intervals

__all__ = ["manager", "model", "owner_id", "short_intervals"]  # fixtures
