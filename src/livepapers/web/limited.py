"""`livepapers` with a time limit: `python -m livepapers.web.limited SECONDS WORD ...`.

A process that the page starts must end even when the page has ended before it.
"""

import faulthandler
import runpy
import sys

if __name__ == "__main__":
    faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)  # by a thread of its own: it needs no cooperation
    sys.argv = ["livepapers", *sys.argv[2:]]
    runpy.run_module("livepapers", run_name="__main__")
