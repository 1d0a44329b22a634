"""Plants a bug in a copy of the tree and runs the test that must catch it."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.torture.teeth.catalog import Tooth

ROOT = Path(__file__).parents[3]
LIMIT = 180.0
TESTS_FAILED = 1
"""pytest's exit code; everything above is an error of another kind and catches nothing."""


@dataclass(frozen=True, slots=True)
class Bite:
    """What became of a planted bug. `how`: caught, missed, or why it says nothing."""

    tooth: Tooth
    how: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.how == "caught"


def copy_tree(to: Path) -> None:
    """The files that git knows or would take, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)


def apply_patch(tooth: Tooth, tree: Path, *, dry: bool = False) -> str:
    """Empty, or why the patch does not apply."""
    command = ["git", "apply", "--recount", "-C1", *(["--check"] if dry else []), str(tooth.patch)]
    # Outside of a repository git takes the paths as they are.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent), "GIT_DIR": str(tree / "none")}
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, env=env)
    if done.returncode == 0 or not _replace(tooth.patch.read_text(), tree, dry=dry):
        return ""
    return done.stderr.strip() or f"git apply ended with {done.returncode}"


def _replace(patch: str, tree: Path, *, dry: bool) -> str:
    """As the patch says, without looking at the lines around: what it takes out must stand in its file exactly once, so
    that a change beside a rule does not make its bug obsolete. Empty, or why that does not work."""
    path, changed = tree, dict[Path, str]()
    for hunk in re.split(r"^(?=@@ |--- )", patch, flags=re.MULTILINE):
        lines = hunk.splitlines()
        if hunk.startswith("--- "):
            path = tree / lines[1].removeprefix("+++ b/")
            changed[path] = path.read_text()
        elif hunk.startswith("@@ "):
            place = [number for number, line in enumerate(lines) if line.startswith(("-", "+"))]
            body = lines[place[0] : place[-1] + 1]
            before = "".join(f"{line[1:]}\n" for line in body if not line.startswith("+"))
            after = "".join(f"{line[1:]}\n" for line in body if not line.startswith("-"))
            if not before or f"\n{changed[path]}".count(f"\n{before}") != 1:
                return f"{path.name} does not hold the lines just once: {before[:80]!r}"
            changed[path] = f"\n{changed[path]}".replace(f"\n{before}", f"\n{after}")[1:]
    if not dry:
        for path, text in changed.items():
            path.write_text(text)
    return ""


def run_tests(tree: Path, tests: Sequence[str], environment: dict[str, str], limit: float = LIMIT) -> tuple[int, str]:
    """pytest's exit code (−1: it did not end in time) and the end of what it said."""
    env = {**os.environ, **environment, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "torture or not torture",
        *tests,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return -1, "no end in time"
    return done.returncode, (done.stdout + done.stderr)[-3000:]


def bite(tooth: Tooth, base: Path, work: Path) -> Bite:
    """Plant the bug in a copy of `base` below `work` and run its test."""
    tree = work / tooth.name
    shutil.copytree(base, tree)
    began = time.monotonic()
    try:
        if wrong := apply_patch(tooth, tree):
            return Bite(tooth, f"the patch does not apply: {wrong}", 0.0)
        code, _ = run_tests(tree, [tooth.caught_by], tooth.environment)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    how = {TESTS_FAILED: "caught", 0: "missed", -1: "the test did not end"}.get(code, f"pytest ended with {code}")
    return Bite(tooth, how, time.monotonic() - began)


def table(bites: Sequence[Bite]) -> str:
    lines = ["| planted bug | subject | caught by | verdict | s |", "|---|---|---|---|---|"]
    for each in bites:
        test = each.tooth.caught_by.rpartition("/")[2]
        lines.append(f"| {each.tooth.name} | {each.tooth.subject} | `{test}` | {each.how} | {each.seconds:.1f} |")
    return "\n".join([*lines, "", f"{sum(each.caught for each in bites)} of {len(bites)} caught"])
