"""Becomes another program that the kernel ends together with the process that started it.

Run by `ChildProcess` as `python -I -S exec_child.py SIGNAL PARENT UID GID PROGRAM ARGUMENT...`; it uses the
standard library alone, because it starts before any package is on the path. UID -1 keeps the account.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop privileges, ask for the signal, make sure that the parent still lives, become the program."""
    death_signal, parent, uid, gid = (int(argument) for argument in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of account, which clears the request.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    try:
        os.execv(sys.argv[5], sys.argv[5:])
    except OSError as exc:
        sys.exit(f"{sys.argv[5]} cannot be run: {exc}")


if __name__ == "__main__":
    main()
