"""How do tests look at the site as people do: with a real browser, in each light, at each width, without script?"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cronlite.client.app import Cronlite
from tests.services import MissingService, axe
from tests.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NOTING = (
    "window.violations = []; addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective))"
)
_AXE = """async () => (await axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] })).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`)"""


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Start Chromium; raise MissingService where there is none. While it runs, this thread can run no asyncio."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as missing:
        raise MissingService(f"no browser: {missing.name} is not installed") from missing
    found = os.environ.get("CRONLITE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise MissingService("no browser: chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(cron: Cronlite, **options: Any) -> Iterator[str]:
    """Serve a site in a thread; yield its address."""
    import uvicorn

    from cronlite.web import site

    config = uvicorn.Config(site(cron, **options), host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, name="site", daemon=True)
    serving.start()
    wait_until(lambda: server.started, what="the site")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        serving.join(30)


@dataclass
class Looker:
    """One who looks at pages, and what their browser complained of."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.add_init_script(_NOTING)

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{kind}: {text}")

    def go(self, path: str) -> Page:
        """Open a page of the site."""
        self.page.goto(self.base + path)
        return self.page

    def violations(self) -> list[str]:
        """List what the page did that its Content-Security-Policy forbids."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def overflow(self) -> int:
        """Say by how many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width

    def serious(self) -> list[str]:
        """List what axe-core finds serious or critical."""
        self.page.evaluate(axe.script())
        found: list[str] = self.page.evaluate(_AXE)
        return found


@contextmanager
def looking(
    browser: Browser, base: str, *, scheme: str = "light", width: int = 1280, script: bool = True
) -> Iterator[Looker]:
    """Open a window; close it."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 800},
        java_script_enabled=script,
    )
    context.set_default_timeout(60_000)
    try:
        yield Looker(context.new_page(), base)
    finally:
        context.close()
