"""The status page in a real Chromium: the login link, a run seen live, a node looked at, keyboard, dark."""

import asyncio
from pathlib import Path
from typing import Any

from services.api.sessions import make_login_token
from tests.services.api.conftest import SECRET, Api
from tests.support.chromium import Browser

DOCUMENT: dict[str, Any] = {
    "name": "Order intake <b>&amp;</b>",
    "nodes": [
        {"id": "order", "type": "webhook", "parameters": {"method": "POST"}},
        {"id": "total", "type": "set", "parameters": {"fields": {"total": "{{ $json.body.price * 2 }}"}}},
        {"id": "large", "type": "if", "parameters": {"condition": "{{ $json.total > 100 }}"}},
        {"id": "work", "type": "noop"},
        {"id": "small", "type": "noop"},
        {"id": "both", "type": "merge"},
    ],
    "connections": [
        {"from": "order", "to": "total"},
        {"from": "total", "to": "large"},
        {"from": "large", "output": "true", "to": "work"},
        {"from": "large", "output": "false", "to": "small"},
        {"from": "work", "to": "both", "input": "input1"},
        {"from": "small", "to": "both", "input": "input2"},
    ],
}
STATE = "return document.querySelector(`#graph [data-node='${arguments[0]}']`)?.dataset.state === arguments[1]"
ROWS = "return document.querySelectorAll('#list li').length === arguments[0]"
BADGE = "return document.querySelector('#list li .state').textContent === arguments[0]"


async def test_a_run_is_seen_live(api: Api, browser: Browser, tmp_path: Path) -> None:
    workflow, path = await api.client.deploy(DOCUMENT)
    link = f"{api.url}/login?token={make_login_token(SECRET, api.workspace)}"
    see = lambda script, *arguments: asyncio.to_thread(browser.until, script, *arguments)  # noqa: E731
    await asyncio.to_thread(browser.open, api.url)
    await see("return !document.getElementById('stranger').hidden")
    await asyncio.to_thread(browser.complaints)

    await asyncio.to_thread(browser.open, link)
    await see("return document.getElementById('feed').textContent === 'live'")
    await see("return document.querySelectorAll('#components .card').length === 6")

    await api.client.ask("POST", path, json={"hold": True, "price": 5})
    await see(ROWS, 1)
    await see(BADGE, "running")
    first = "document.querySelector('#list button')"
    assert (
        await asyncio.to_thread(browser.run, f"return {first}.querySelector('.name').textContent") == DOCUMENT["name"]
    )
    await asyncio.to_thread(browser.run, f"{first}.focus()")
    await asyncio.to_thread(browser.press, "\ue007")
    await see(STATE, "order", "completed")
    await see(STATE, "total", "none")
    [execution] = await api.client.statuses(workflow)
    await api.client.cancel(execution)
    await see(BADGE, "cancelled")
    await see(STATE, "total", "skipped")

    await api.client.ask("POST", path, json={"fail": "the shop is <closed>", "price": 60})
    await see(ROWS, 2)
    await see(BADGE, "failed")
    await asyncio.to_thread(browser.run, "document.querySelector('#list button').click()")
    await see(STATE, "work", "failed")
    await asyncio.to_thread(browser.run, "document.querySelector(`#graph [data-node='work']`).focus()")
    await asyncio.to_thread(browser.press, " ")
    await see("return document.getElementById('node-failure').textContent.includes('the shop is <closed>')")
    await see("return document.getElementById('node-input').textContent.includes('\"price\": 60')")
    await see("return document.getElementById('rate-failed').textContent !== '0'")

    await asyncio.to_thread(browser.screenshot, tmp_path / "light.png")
    await asyncio.to_thread(browser.dark, True)
    await asyncio.to_thread(browser.screenshot, tmp_path / "dark.png")
    assert (tmp_path / "light.png").stat().st_size > 10_000
    assert await asyncio.to_thread(browser.complaints) == []
