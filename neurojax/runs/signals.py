"""Stopping between two steps instead of in the middle of one."""

import os
import signal
import threading
from types import FrameType


class StopRequest:
    """SIGTERM and SIGINT only set `requested`; a second SIGINT interrupts at once.

    Outside the main thread, where Python takes no handlers, nothing is caught.
    """

    def __init__(self):
        self.requested = False
        self._interrupted = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._previous.items():
            # None is a handler installed from C, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            raise KeyboardInterrupt
        self._interrupted |= number == signal.SIGINT
        if not self.requested:
            # print() may be in use by the code this handler interrupted
            os.write(2, b"stopping after this step and saving; Ctrl-C again stops at once\n")
        self.requested = True
