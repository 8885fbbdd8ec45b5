"""Ctrl-C sent to a running call, timed by the processor's clock of the calling thread, so that
other programs do not matter."""

import os
import signal
import threading
import time


def answered_after(call, delay):
    """Seconds of this thread's own work from SIGINT, sent when all threads have worked for
    `delay`, to its KeyboardInterrupt; None if the call was over before.

    This thread goes on while the one that sends looks at the clock and sends: what others keep
    from the processor in between knows no moment, and is repeated.
    """
    answer, uncertain = _answered_after(call, delay)
    while uncertain > 0.005:
        answer, uncertain = _answered_after(call, delay)
    return answer


def _answered_after(call, delay):
    """The answer, and how much work was done while SIGINT was sent."""
    clock = time.pthread_getcpuclockid(threading.get_ident())
    end = time.process_time() + delay
    sent, over = [], threading.Event()

    def send():
        while time.process_time() < end:
            if over.wait(0.001):
                return
        sent.append(time.clock_gettime(clock))
        os.kill(os.getpid(), signal.SIGINT)
        sent.append(time.clock_gettime(clock))

    thread = threading.Thread(target=send)
    try:
        try:
            thread.start()
            call()
        finally:
            over.set()
            thread.join()
        time.sleep(0.01)  # the signal of the last moment
    except KeyboardInterrupt:
        answer = time.clock_gettime(clock)
        thread.join()
        return answer - sent[0], sent[1] - sent[0]
    return None, 0.0


def assert_ctrl_c_is_answered(call, delay):
    """Within a tenth of a second of the calling thread; the processor itself may be slow in
    two of three attempts."""
    answers = [answered_after(call, delay)]
    while answers[-1] is not None and answers[-1] > 0.1 and len(answers) < 3:
        answers.append(answered_after(call, delay))
    assert answers[-1] is not None, "the call was over before"
    assert answers[-1] < 0.1, answers
