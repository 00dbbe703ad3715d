"""Questions with expected properties of the replies, to compare models."""
