"""The console script. A role (`linkflow worker`, …) starts without the command line's libraries: memory is a budget."""

import sys


def main() -> None:
    """Run what the command line names; exits with 0, 1 (failed, the reason is on stderr) or 2 (wrong usage)."""
    arguments = sys.argv[1:]
    from linkflow.roles import ROLES, run_role

    if arguments and arguments[0] in ROLES and not {"--help", "-h"} & set(arguments):
        sys.exit(run_role(arguments[0], arguments[1:]))
    if arguments == ["up"]:
        from services.cli.failures import guarded
        from services.cli.foreground import run_up

        sys.exit(guarded(run_up))
    from services.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
