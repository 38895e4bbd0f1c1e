"""How fast the page answers with 10,000 papers and 100,000 votes, when 50 people read at once.

Readers arrive over ten seconds, and the count begins when all are there. A reader opens a page, reads for one to three
seconds and goes on, like a person; the load tool (Locust, in a Python with `pip install locust`) runs on the same
machine, on loopback. Papers are made of the words of the cards and of the page's word list, votes fall on them by a
power law.

    python benchmarks/page.py --locust .locust/bin/locust [--papers 10000] [--votes 100000] [--seconds 60] [--json]
"""

import argparse
import contextlib
import csv
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from livepapers.lab.machine import machine, versions
from livepapers.papers import catalogue
from livepapers.papers.search import words
from livepapers.web import tables
from livepapers.web.ideas import lexicon
from livepapers.web.store import HALF_LIFE, PageStore, heat

READERS, ARRIVING = 50, 5
"""How many read, and how many of them arrive in a second: fifty at once are a queue of the load tool's making."""
STARTS = 5
"""How often the server's start is timed; the median counts."""


def fill(store: PageStore, papers: int, votes: int) -> None:
    """Papers beside those of the catalogue, and votes on all."""
    rng = random.Random(0)
    cards = list(catalogue.load().values())
    store.sync(cards)
    said = [word for card in cards for word in words(card.summary)]
    rare = list(lexicon().rows)[:20_000]
    tags = [tag for card in cards for tag in card.tags]
    names = [author for card in cards for author in card.authors]

    def text(n: int) -> str:
        return " ".join(rng.choice(said) if rng.random() < 0.8 else rng.choice(rare) for _ in range(n))

    def paper(number: int) -> dict[str, object]:
        return {
            "slug": f"made-{number}", "title": text(9).capitalize(), "authors": rng.sample(names, 4),
            "submitted": f"{rng.randint(2015, 2025)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            "field": rng.choice(list(catalogue.FIELDS)), "tags": rng.sample(tags, 4), "summary": text(100),
            "link": f"https://example.org/{number}", "arxiv": "", "doi": "", "code_url": "", "source": "bibtex",
            "status": "listed", "claims": 0, "added": time.time(), "votes": 0, "heat": heat([]),
        }  # fmt: skip

    with store.writing() as connection:
        connection.execute(sa.insert(tables.papers), [paper(number) for number in range(papers - len(cards))])
        numbers = list(connection.execute(sa.select(tables.papers.c.id)).scalars())
        cast: dict[int, list[float]] = {}
        for _ in range(votes):
            liked = numbers[min(int(rng.paretovariate(0.7)) - 1, len(numbers) - 1)]
            cast.setdefault(liked, []).append(time.time() - rng.random() * 8 * HALF_LIFE)
        rows = [
            {"paper": liked, "reader": f"reader {k}", "cast": at} for liked in cast for k, at in enumerate(cast[liked])
        ]
        connection.execute(sa.insert(tables.votes), rows)
        for liked, times in cast.items():
            change = sa.update(tables.papers).where(tables.papers.c.id == liked)
            connection.execute(change.values(votes=len(times), heat=heat(times)))


@contextlib.contextmanager
def served(store: Path) -> Iterator[tuple[str, float]]:
    """The server's address, and the seconds from its command to its first page."""
    command = [sys.executable, "-m", "livepapers", "serve", "--port", "0", "--store", str(store)]
    began = time.perf_counter()
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        found = re.search(r"http://\S+", server.stderr.readline())
        assert found is not None, "the server did not start"
        with urllib.request.urlopen(found[0]) as answer:
            answer.read()
        yield found[0], time.perf_counter() - began
    finally:
        server.terminate()
        server.wait()


def weight(address: str) -> dict[str, float]:
    """Kilobytes of the home page with its styles and scripts, as they are and as gzip would send them."""
    with urllib.request.urlopen(address) as answer:
        page = answer.read()
    parts = [page]
    for path in re.findall(rb'(?:href|src)="(/[^"]+\.(?:css|js)[^"]*)"', page):
        with urllib.request.urlopen(address + path.decode()) as answer:
            parts.append(answer.read())
    return {
        "page weight, kB": sum(map(len, parts)) / 1000,
        "page weight gzipped, kB": sum(len(gzip.compress(part)) for part in parts) / 1000,
    }


def load(locust: Path, address: str, seconds: int, folder: Path) -> dict[str, float]:
    """Milliseconds by kind of page, and how many pages were read, while 50 people read."""
    subprocess.run(
        [str(locust), "-f", str(Path(__file__).with_name("page_readers.py")), "--headless", "--host", address,
         "--users", str(READERS), "--spawn-rate", str(ARRIVING), "--run-time", f"{seconds + READERS // ARRIVING}s",
         "--reset-stats", "--only-summary", "--csv", str(folder / "load")],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    figures: dict[str, float] = {}
    with (folder / "load_stats.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for quantile in ("50%", "95%"):
                figures[f"{row['Name']}, {quantile}, ms"] = float(row[quantile])
            figures[f"{row['Name']}, requests"] = float(row["Request Count"])
            figures[f"{row['Name']}, failures"] = float(row["Failure Count"])
    return figures


def measure(locust: Path, papers: int, votes: int, seconds: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = folder / "store.sqlite3"
        with PageStore(place) as store:
            fill(store, papers, votes)
        starts = []
        for _ in range(STARTS):
            with served(place) as (_, start):
                starts.append(start)
        figures = {"start to first page, s": sorted(starts)[STARTS // 2]}
        with served(place) as (address, _):
            figures |= weight(address)
            began = time.perf_counter()
            with urllib.request.urlopen(f"{address}/search?q=inventory") as answer:
                answer.read()
            figures["first search after the start, s"] = time.perf_counter() - began
            figures |= load(locust, address, seconds, folder)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locust", type=Path, required=True)
    parser.add_argument("--papers", type=int, default=10_000)
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.locust, options.papers, options.votes, options.seconds)
    if options.json:
        print(json.dumps({"figures": figures, "machine": machine(), "versions": versions()}, indent=2))
        return
    for name, value in figures.items():
        print(f"{value:10,.2f}  {name}")
    print(f"{machine()['cpu']}, {machine()['cores']} cores")


if __name__ == "__main__":
    main()
