"""Pictures of the page, to be looked at: every kind of page at desktop and phone width, light and dark.

PYTHONPATH=tests python -m web.screenshots docs/images          the two that the README shows
PYTHONPATH=tests python -m web.screenshots --all some/folder    all of them
"""

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from web.browser import DESKTOP, PHONE, chromium, served

SHOWN = (("home", "/?sort=measured", "desktop", "light"), ("paper", "/papers/hdpo", "phone", "dark"))
PAGES = {
    "home": "/",
    "search": "/search?q=how+much+stock+to+order",
    "paper": "/papers/hdpo",
    "listed": "/papers/alpine",
    "runs": "/runs",
    "subscribe": "/subscribe",
    "missing": "/nope",
}
SIZES = {"desktop": DESKTOP, "phone": PHONE}


def take(browser: Browser, address: str, path: str, size: str, scheme: str, file: Path, *, whole: bool) -> None:
    """One picture."""
    context = browser.new_context(
        base_url=address, color_scheme="dark" if scheme == "dark" else "light",
        viewport=SIZES[size],
    )  # fmt: skip
    page = context.new_page()
    page.goto(path)
    page.screenshot(path=file, full_page=whole)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as store, served(Path(store)) as address, chromium() as browser:
        if not options.all:
            for name, path, size, scheme in SHOWN:
                take(browser, address, path, size, scheme, options.folder / f"{name}.png", whole=False)
            return
        for name, path in PAGES.items():
            for size in SIZES:
                for scheme in ("light", "dark"):
                    file = options.folder / f"{name}-{size}-{scheme}.png"
                    take(browser, address, path, size, scheme, file, whole=True)


if __name__ == "__main__":
    main()
