"""`livepapers` with a time limit: `python -m livepapers.web.limited SECONDS WORD ...`.

A process that the page starts must end even when the page has ended before it.
"""

import runpy
import signal
import sys

if __name__ == "__main__":
    # The kernel ends it: no Python code has to run. (`faulthandler` walks the stack of a thread at work, and crashed.)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})  # it may be inherited
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
    sys.argv = ["livepapers", *sys.argv[2:]]
    runpy.run_module("livepapers", run_name="__main__")
