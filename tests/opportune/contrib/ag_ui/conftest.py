from opportune.contrib.answers.testing import short_intervals

__all__ = ["short_intervals"]  # fixtures
