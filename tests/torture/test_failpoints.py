"""Failpoints: nothing when off, the end of the process when set."""

import os
import signal
import subprocess
import sys
import timeit

import pytest

from infra import failpoints


def test_off_is_a_function_that_does_nothing() -> None:
    if failpoints.VARIABLE in os.environ:
        pytest.skip("a failpoint is set")
    assert failpoints.failpoint is failpoints._off
    calls = 100_000
    seconds = min(timeit.repeat(lambda: failpoints.failpoint("owner.before_append"), number=calls, repeat=5))
    assert seconds / calls < 1e-6, f"{seconds / calls * 1e9:.0f} ns a call"


@pytest.mark.parametrize(("setting", "lived"), [("b:kill", 1), ("b:kill:2", 3), ("other:kill", 6)])
def test_set_it_ends_the_process_where_it_is_reached(setting: str, lived: int) -> None:
    code = (
        "from infra.failpoints import failpoint\n"
        "for name in ['a', 'b', 'a', 'b', 'a', 'c']:\n"
        "    failpoint(name)\n"
        "    print(name, flush=True)\n"
    )
    env = {**os.environ, failpoints.VARIABLE: setting}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert len(done.stdout.split()) == lived
    assert done.returncode == (0 if lived == 6 else -signal.SIGKILL)


@pytest.mark.parametrize("setting", ["b", "b:stop", ":kill", "b:kill:x"])
def test_what_is_no_failpoint_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="is not NAME:kill"):
        failpoints.armed(setting)
