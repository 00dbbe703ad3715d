"""What starts several workers, and others in their place."""

from uvicorn.supervisors import Multiprocess

from opportune.server.handover import START_TIMEOUT_SECONDS, tell_ready


class Supervisor(Multiprocess):
    """One that tells when all take visitors; at SIGHUP it replaces one after the other, when the next is ready."""

    told = False

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        if not self.told and all(process.is_ready() for process in self.processes):
            self.told = True
            tell_ready()

    def restart_all(self) -> None:
        before = self.config.timeout_worker_healthcheck
        self.config.timeout_worker_healthcheck = int(START_TIMEOUT_SECONDS)
        try:
            super().restart_all()
        finally:
            self.config.timeout_worker_healthcheck = before
