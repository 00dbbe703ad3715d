"""Answers without HTTP: tasks that write them, their storage, and followers in other processes."""
