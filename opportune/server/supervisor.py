"""Supervisor of several workers."""

from uvicorn.supervisors import Multiprocess

from opportune.server.handover import START_TIMEOUT_SECONDS, report_ready


class Supervisor(Multiprocess):
    """Reports when all workers are ready. At SIGHUP, it replaces the workers one after another."""

    has_reported = False

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        if not self.has_reported and all(process.is_ready() for process in self.processes):
            self.has_reported = True
            report_ready()

    def restart_all(self) -> None:
        original_timeout = self.config.timeout_worker_healthcheck
        self.config.timeout_worker_healthcheck = int(START_TIMEOUT_SECONDS)
        try:
            super().restart_all()
        finally:
            self.config.timeout_worker_healthcheck = original_timeout
