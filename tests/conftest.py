"""For all tests: Ctrl-C works, whoever started us.

A shell starts background jobs with SIGINT ignored, and Python then installs no handler.
"""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
