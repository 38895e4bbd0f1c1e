"""The page as a person meets it: a served store, and Debian's Chromium driven by Playwright."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)


def require_chromium() -> str:
    """Its path; where there is none the test is skipped, but not in continuous integration."""
    if CHROMIUM is None:
        told = "needs chromium (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return CHROMIUM


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """The address of a page over a store in `folder`, served by the command that people use."""
    command = [sys.executable, "-m", "livepapers", "serve", "--port", "0", "--store", str(folder / "store.sqlite3")]
    with (folder / "server.log").open("w+") as log:
        server = subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            yield _address(server, folder / "server.log")
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        found = re.search(r"http://[\d.]+:\d+", log.read_text())
        if found:
            return found[0]
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def watched(page: Page) -> tuple[list[str], list[str]]:
    """Lists that fill with the addresses the page asks for, and with what goes wrong on it."""
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    return asked, wrong
