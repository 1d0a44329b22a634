"""`linkflow up` in this process. Imports little: it stays beside the roles for as long as they run."""

import asyncio
import sys
from collections.abc import Callable

from infra.settings import Settings


def run_up() -> int:
    """`linkflow up` in this process; returns its exit code. Raises what kept it from starting."""
    settings = Settings.from_env()
    from services.cli.up import up

    if sys.stdout.isatty() and settings.log_format == "text":
        from services.cli.display import LiveTable

        with LiveTable() as table:
            return asyncio.run(up(settings, table.report, table.show))
    return asyncio.run(up(settings, _reporter(settings)))


def _reporter(settings: Settings) -> Callable[[str], None]:
    import json
    from datetime import UTC, datetime

    def report(line: str) -> None:
        if settings.log_format == "json":
            line = json.dumps({"timestamp": datetime.now(UTC).isoformat(), "role": "up", "message": line})
        print(line, flush=True)

    return report
