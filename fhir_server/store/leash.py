"""Tie a program to the process that starts it: ``python -I leash.py PARENT PROGRAM ARGUMENTS...``.

Linux sends the program a SIGTERM when its parent ends, even by ``kill -9``, so that no database stays behind. SIGTERM
rather than SIGKILL: mongod then writes a checkpoint, and the next start needs no recovery.

https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

It is a program of its own and not a `preexec_fn`: Python code between fork and exec is unsafe once there are threads.
The signal is tied to the *thread* that starts the program, which therefore has to live as long as the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Ask for a SIGTERM at the end of the parent; end at once if it has ended meanwhile."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - replaces this process; no shell is wanted
