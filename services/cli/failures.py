"""How a failed command ends: one line on stderr and code 1; with LINKFLOW_LOG_LEVEL=debug the whole trace."""

import os
import sys
from collections.abc import Callable

from infra.telemetry.errors import explain


def guarded(command: Callable[[], int]) -> int:
    """Run a command; returns its exit code, or that of its failure."""
    try:
        return command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing is wrong. Keep the interpreter from saying otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("LINKFLOW_LOG_LEVEL", "").lower() == "debug":
            raise
        sys.stderr.write(f"linkflow: {explain(error)}\n")
        return 1
