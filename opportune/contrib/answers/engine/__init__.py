"""Answers without HTTP.

- `manager` asks, decides, finds, shows and stops answers for a user, with the limit of `capacity`.
- `engine` is one process: the answers it writes (each a `task` with `limits`), those that it takes from dead processes,
  and those of other processes that it shows (`follower`). `within_requests` is the engine of hosts without background
  work.
- `flusher` saves growing answers together. `store` has the statements for running answers, `results` those of their
  worker at the end, and `takeover` those of other workers. `live` is what viewers see.
- `tool_runs` are the calls of an answer, `decisions` those of the user about them, and `tool_jobs` calls in jobs.
"""
