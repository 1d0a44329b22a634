"""The first process of a sandbox. It runs no user's code: it forks, for whom the worker asks, processes that do.

Started by bubblewrap with a control socket (SOCK_SEQPACKET). One message each, JSON; `start` brings the socket of the
new process along:

    {"do": "start", "id": 7, "kind": "javascript" | "v8" | "python", "memory": bytes, "cpu_seconds": 60}
    {"do": "kill", "id": 7}

A process that ends closes its socket: that is all that the worker needs to know of it.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sys


def main(control_number: int) -> None:
    """Serve until the worker closes the control socket."""
    import warm

    warm.load()
    control = socket.socket(fileno=control_number)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    processes: dict[int, int] = {}
    control.send(b"ready")
    while True:
        readable, _, _ = select.select([control, wake], [], [])
        if wake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
        _reap(processes)
        if control in readable:
            message, files, _, _ = socket.recv_fds(control, 65_536, 4)
            if not message:
                return
            _obey(json.loads(message), files, processes)


def _obey(order: dict, files: list[int], processes: dict[int, int]) -> None:
    if order["do"] == "kill":
        process = processes.get(order["id"])
        if process is not None:
            os.kill(process, signal.SIGKILL)
        return
    process = os.fork()
    if process == 0:
        _become(order, files[0])
    processes[order["id"]] = process
    for file in files:
        os.close(file)


def _reap(processes: dict[int, int]) -> None:
    while processes:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return
        for id_, known in list(processes.items()):
            if known == process:
                del processes[id_]


def _become(order: dict, channel: int) -> None:
    """The new process: serves its socket until it is closed, then ends. Nothing of this returns to the zygote."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        import lockdown

        lockdown.close_other_files(channel)
        if order["kind"] == "python":
            import python_code as runner
        elif order["kind"] == "v8":
            import v8 as runner
        else:
            import quick as runner
        runner.serve(channel, order)
        code = 0
    except MemoryError:
        code = 3
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.path.append(__file__.rpartition("/")[0])
    main(int(sys.argv[1]))
