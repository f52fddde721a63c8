"""The server that `manage.py serve` becomes: granian over WSGI, one worker or more, several threads each."""

import ctypes
import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

HOST: Final = "127.0.0.1"
STOP_SECONDS: Final = 10

_PR_SET_PDEATHSIG: Final = 1
# What a worker is sent when the main process is gone.
_ORPHANED: Final = signal.SIGUSR1


class Server(MPServer):
    """Granian, stopping whenever it is told to."""

    def signal_handler_interrupt(self, *_args: Any, **_kwargs: Any) -> None:
        # Granian sets the event right here, in the signal handler. Where the main thread is just
        # waking up and holds the event's lock, it then waits for itself and never stops. Another
        # thread can wait for that lock.
        self.interrupt_signal = True
        threading.Thread(target=self.main_loop_interrupt.set).start()


def load(_target: str) -> Any:
    """Return the application, inside the worker process."""
    follow_the_main_process()
    from config.wsgi import application

    # What is there by now stays: no collection of garbage needs to look at it again.
    gc.collect()
    gc.freeze()
    return application


def follow_the_main_process() -> None:
    """Have this worker end by the main process alone.

    Ctrl+C and service managers signal the whole process group. The worker leaves it, so that the main
    process alone ends it, after what it is just answering; and follows where that one is killed.
    """
    os.setpgid(0, 0)
    signal.signal(_ORPHANED, _end_in_time)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _ORPHANED)


def _end_in_time(_signal: int, _frame: FrameType | None) -> None:
    """End as when told to, and at the latest when the main process would have seen to it.

    Now and then granian's threads wait for each other for ever while it stops. Nobody handles the alarm, so
    that the system ends the process without its help.
    """
    signal.alarm(STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def serve(
    port: int,
    loader: Callable[[str], Any] = load,
    *,
    host: str = HOST,
    workers: int = 1,
    threads: int,
) -> None:
    """Serve until SIGTERM or SIGINT. A worker that dies is replaced.

    `loader` gives the application; it runs in each worker process.
    """
    Server(
        "config.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        blocking_threads=threads,
        websockets=False,
        log_level=LogLevels.warning,
        working_dir=Path(__file__).parent.parent,
    ).serve(target_loader=loader)


if __name__ == "__main__":
    serve(
        int(os.environ["PORT"]),
        host=os.environ["KEYRACK_LISTEN"],
        workers=int(os.environ["KEYRACK_WORKERS"]),
        threads=int(os.environ["KEYRACK_THREADS"]),
    )
