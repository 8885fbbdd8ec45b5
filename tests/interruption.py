"""Ctrl-C sent to a running call."""

import os
import signal
import threading
import time

import pytest


def answered_after(call, delay):
    """Seconds from SIGINT, sent `delay` after the call began, to its KeyboardInterrupt.

    They are seconds of this thread's own work: what other programs take meanwhile does not count.
    """
    clock = time.pthread_getcpuclockid(threading.get_ident())
    sent = []

    def send():
        time.sleep(delay)
        sent.append(time.clock_gettime(clock))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.clock_gettime(clock) - sent[0]
    finally:
        thread.join()


def assert_ctrl_c_is_answered(call, delay):
    """Within a tenth of a second."""
    assert answered_after(call, delay) < 0.1
