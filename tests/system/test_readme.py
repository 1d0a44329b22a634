"""The README's commands, pasted as they are into a shell beside a running `linkflow up`."""

import asyncio
import re
import sys
from pathlib import Path

from tests.support.cluster import Up

ROOT = Path(__file__).parents[2]


def _blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


async def test_the_commands_do_what_it_says(tmp_path: Path) -> None:
    async with Up(tmp_path, settings={"LINKFLOW_BOOTSTRAP_API_KEY": ""}) as cluster:
        script = "\n".join(["set -euo pipefail", *_blocks()])
        # Only what differs here: port, data directory, and where the program is.
        script = script.replace(":8080", f":{cluster.port}").replace(".linkflow/", f"{tmp_path}/data/")
        script = script.replace(".venv/bin/linkflow", str(Path(sys.executable).with_name("linkflow")))
        script = script.replace("@examples/order-intake.json", f"@{_with_port(tmp_path, cluster.port)}")
        child = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            script,
            cwd=ROOT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **cluster.settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(90):
            output, _ = await child.communicate()
        text = output.decode()
        assert child.returncode == 0, text
        assert '{"ok":true,"total":150}' in text
        assert re.search(r"check .*completed", text), text
        assert "\n20\n" in text, text
        assert "agree with the log" in text


def _with_port(directory: Path, port: int) -> Path:
    path = directory / "order-intake.json"
    path.write_text((ROOT / "examples" / path.name).read_text().replace(":8080", f":{port}"))
    return path
