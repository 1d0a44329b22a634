"""A real Chromium through chromedriver's own HTTP protocol (W3C WebDriver): no package, no downloaded browser."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.postgres import free_port

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1360,900",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class BrowserMissing(Exception):
    """There is no Chromium, or no chromedriver."""


def browser_required() -> bool:
    return os.environ.get("LINKFLOW_TEST_REQUIRE_BROWSER", "") == "1"


class Browser:
    """One window. Blocking: call it from a thread (`asyncio.to_thread`) if a server runs in this event loop."""

    def __init__(self, session_url: str) -> None:
        self._url = session_url

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that the JavaScript function body returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, *arguments: Any, seconds: float = 10.0) -> Any:
        """Wait until the function body returns something truthy, and return that."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(script, *arguments)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {script}\n{self.run('return document.body.innerText')}")
            time.sleep(0.02)
        return value

    def press(self, keys: str) -> None:
        """Type keys into what has the focus."""
        found = self._ask("GET", "/element/active")
        self._ask("POST", f"/element/{found[_ELEMENT]}/value", {"text": keys})

    def dark(self, dark: bool) -> None:
        """Show pages as for somebody who prefers dark ones."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        parameters = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": [feature]}}
        self._ask("POST", "/goog/cdp/execute", parameters)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """What the console has complained about (errors and refused resources), since the last call."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return _ask(method, self._url + path, body)


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """A headless Chromium of its own; raises BrowserMissing."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise BrowserMissing("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="linkflow-browser-", ignore_cleanup_errors=True) as profile:
        log = Path(profile) / "driver.log"
        process = subprocess.Popen([driver, f"--port={port}", f"--log-path={log}"], stdout=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}/status", process)
            options = {
                "binary": chromium,
                "args": [*FLAGS, f"--user-data-dir={profile}/profile"],
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            made = _ask("POST", f"http://127.0.0.1:{port}/session", {"capabilities": {"alwaysMatch": wanted}})
            session = f"http://127.0.0.1:{port}/session/{made['sessionId']}"
            try:
                yield Browser(session)
            finally:
                _ask("DELETE", session)
        finally:
            process.terminate()
            process.wait(10)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(500):
        with contextlib.suppress(OSError):
            if _ask("GET", url)["ready"]:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise BrowserMissing(f"chromedriver did not start (it ended with {process.poll()})")


def _ask(method: str, url: str, body: Any = None) -> Any:
    data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"{method} {url}: {error.read().decode()[:2000]}") from None
