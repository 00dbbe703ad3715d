"""Answers without HTTP.

The way of an answer, from the question to the page:

1. `manager` checks the limits (`capacity`, the guard) and adds a row to the session of the request.
2. After its commit, the `engine` of this process starts a `task`, with the messages of the row, and the model, the
   tools and the limits of the site (`resources`).
3. The task reads chunks of the model and calls tools. Their runs (`tool_runs`) are stored immediately; text and
   reasoning are added to the unsaved part.
4. `flusher` saves the unsaved parts of all answers in one transaction, as chunks, and renews their leases (`store`).
5. `live` gets only what is committed, and wakes the viewers. In other processes, `follower` reads the chunks for it.
6. At the end, `results` joins text and chunks in the row: it ends, waits for the user (`decisions`) or a job
   (`tool_jobs`), or is handed over. Answers of dead processes are taken over, and those of others stopped.

`within_requests` is the engine of hosts without background work.
"""
