"""Services of a process: background tasks, files, memory, progress."""
