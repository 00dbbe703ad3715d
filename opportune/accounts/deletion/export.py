"""Old path of `read_personal_data`, for the tests of projects created with 0.2."""

from opportune.accounts.deletion.service import read_personal_data

__all__ = ["read_personal_data"]
