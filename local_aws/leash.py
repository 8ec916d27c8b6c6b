"""Replace this process by a command that ends when its parent does.

Run as ``python -I -S leash.py <parent pid> <command> <argument>…``. The kernel is asked to
terminate the process when its parent dies, which survives ``exec``; doing so here instead of
between fork and exec keeps a many-threaded parent safe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask to be terminated with the parent, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)
    os.execvpe(command[0], command, os.environ)  # noqa: S606


if __name__ == "__main__":
    main()
