"""A real browser over the DevTools protocol: pages are laid out and measured as people see them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-port=0",
)  # fmt: skip
PROBLEMS = """
(() => {
  const found = [];
  const say = (what, node) => found.push(`${what}: <${node.tagName} class="${node.getAttribute("class") || ""}"> ${
    (node.textContent || "").trim().slice(0, 60)}`);
  const root = document.documentElement;
  const across = root.scrollWidth;
  if (across > root.clientWidth + 1) found.push(`the page is ${across} wide, not ${root.clientWidth}`);
  const visible = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility !== "hidden";
  const all = [...document.body.querySelectorAll("*")].filter((node) => !node.closest("svg") && visible(node));
  for (const node of all) {   // what reaches beyond the nearest box that clips must be in one that scrolls
    const box = node.getBoundingClientRect();
    for (let parent = node.parentElement; parent && parent !== document.body; parent = parent.parentElement) {
      const flow = getComputedStyle(parent).overflowX;
      if (flow === "auto" || flow === "scroll") break;
      const outer = parent.getBoundingClientRect();
      if (box.right > outer.right + 2 && flow !== "visible" && getComputedStyle(parent).textOverflow !== "ellipsis") {
        say("cut", node); break;
      }
    }
  }
  const rgb = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, under) => {
    const a = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((i) => a * top[i] + (1 - a) * under[i]);
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reverse().reduce((under, top) => over(top, under), dark ? [18, 18, 18] : [255, 255, 255]);
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const plain = (text) => {   // color-mix() and the like, as the screen has them
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = text; probe.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  for (const node of all) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || node.tagName === "OPTION") continue;
    const back = behind(node);
    let seen = plain(getComputedStyle(node).color);
    let opacity = 1;
    for (let at = node; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    seen = over([seen[0], seen[1], seen[2], seen[3] * opacity], back);
    const [one, other] = [light(seen), light(back)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) say(`contrast ${ratio.toFixed(2)}`, node);
  }
  const cells = [...document.querySelectorAll("td, th")].filter((cell) => visible(cell) && !cell.querySelector("svg"));
  for (const cell of cells) {
    const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
      const upright = getComputedStyle(text.parentElement).writingMode === "horizontal-tb";
      for (const word of text.textContent.matchAll(/[^\\s\\-\\/:,→.]+/g)) {
        const range = document.createRange();
        range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length);
        const sides = new Set([...range.getClientRects()].map((r) => Math.round(upright ? r.top : r.left)));
        if (sides.size > 1) say(`broken word ${word[0]}`, cell);
      }
    }
  }
  return [...new Set(found)];
})()
"""


class Browser:
    """One tab. errors: what the console and the page have complained of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._last, self._session = socket, 0, ""
        self.errors: list[str] = []
        self._loaded = False

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command of the protocol; events that come before it are noted."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        await self._socket.send_json({**message, **({"sessionId": self._session} if self._session else {})})
        while True:
            answer = await self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    async def _receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self._socket.receive_json(timeout=20)
        method, facts = answer.get("method"), answer.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(facts["exceptionDetails"]))
        elif method == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{facts['entry']['text']} {facts['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and facts["type"] == "error":
            self.errors.append(str(facts["args"]))
        return answer

    async def open_tab(self) -> None:
        """Make the tab that all commands are for."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        self._session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    async def view(self, width: int, scheme: str) -> None:
        """Give the window a width in px, and the reader's preference: 'light' or 'dark'."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def open(self, url: str) -> None:
        """Load a page and wait until it is there."""
        self._loaded = False
        await self.call("Page.navigate", url=url)
        while not self._loaded:
            await self._receive()

    async def evaluate(self, script: str) -> Any:
        """Return the value of a script."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def problems(self) -> list[str]:
        """Return what is cut, broken, too wide or too faint in the page as it is now, with every fold open."""
        await self.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        found: list[str] = await self.evaluate(PROBLEMS)
        return found

    async def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Start Chromium with a profile of its own, and stop it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "chromium is missing: make test-slow installs it, or apt-get install chromium"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        child = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            address = await _address(Path(profile) / "DevToolsActivePort", child)
            async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                tab = Browser(socket)
                await tab.open_tab()
                yield tab
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


async def _address(file: Path, child: subprocess.Popen[bytes]) -> str:
    """Wait until the browser says where it listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert child.poll() is None, f"chromium ended with {child.returncode}"
        lines = file.read_text().splitlines() if file.is_file() else []
        if len(lines) >= 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        await asyncio.sleep(0.05)
    raise AssertionError("chromium must say where it listens within 30 s")
