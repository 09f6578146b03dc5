"""Servers that end with the tests, however those end."""

import sys

# In an interpreter of its own, which then becomes the server: between fork and exec nothing but exec is safe
# once there are threads, and a `preexec_fn` in vain costs a run of hours.
_SCRIPT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("whoever started this has ended already")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def ends_with(parent_pid: int, *command: str) -> list[str]:
    """The command line that runs `command`, as the same process, until its parent ends."""
    return [sys.executable, "-c", _SCRIPT, str(parent_pid), *command]
