"""Named places where a test may end this process, to prove that a crash there loses nothing.

    failpoint("owner.before_append")

Off, which is always but in those tests, `failpoint` is a function that does nothing, bound when this module is
imported: a call costs some 30 ns and looks at nothing. LINKFLOW_FAILPOINT=NAME:kill ends the process by SIGKILL when it
comes there for the first time, NAME:kill:N for the N-th time. The sweep (tests/torture/test_crash_points.py) finds all
names in the source and fails for one that is never reached.
"""

import os
import signal
from collections.abc import Callable

VARIABLE = "LINKFLOW_FAILPOINT"


def _off(name: str) -> None:
    """No failpoint is set."""


def armed(setting: str) -> Callable[[str], None]:
    """What `failpoint` is with this setting; raises ValueError for one that is not NAME:kill[:N]."""
    wanted, _, rest = setting.partition(":")
    action, _, count = rest.partition(":")
    if not wanted or action != "kill" or (count and not count.isdecimal()):
        raise ValueError(f"{VARIABLE}={setting!r} is not NAME:kill or NAME:kill:N")
    left = int(count or 1)

    def reach(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach


failpoint: Callable[[str], None] = armed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else _off
