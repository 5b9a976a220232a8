"""Run as a script: ties the process to its parent, then becomes the command. `leash.py PARENT_PID COMMAND...`

The kernel tells the command to stop (SIGTERM) when its parent is gone, even if the parent was killed by SIGKILL (Linux;
elsewhere the command runs without a leash). It is a script of its own because code between fork and exec is unsafe
under threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it went before the leash was on
            sys.exit(128 + signal.SIGKILL)
    os.execvp(command[0], command)  # noqa: S606 - the very purpose
