"""What the readers of `page.py` do, for Locust: most look at home, some search, few open a paper."""

import random

from locust import HttpUser, between, task  # pyright: ignore[reportMissingImports]

ASKED = (
    "inventory control", "taxi dispatch by learning", "robot arm from few demonstrations", "why networks forget",
    "state-of-the-art compression", "fish", "predict links between groups", "evolution without gradients",
    "small models on small devices", "stock prices", "attack on a trained agent", "sampling in proportion to a reward",
)  # fmt: skip
LISTS = ("/", "/?sort=newest", "/?field=samplers", "/?status=measured&sort=measured", "/?page=7")


class Reader(HttpUser):
    """A person who reads for one to three seconds between two pages."""

    wait_time = between(1, 3)

    @task(6)
    def home(self) -> None:
        """One of the lists."""
        self.client.get(random.choice(LISTS), name="home")

    @task(3)
    def search(self) -> None:
        """A query that nobody has cached."""
        asked = f"{random.choice(ASKED)} {random.choice(ASKED).split()[-1]}"
        self.client.get("/search", params={"q": asked}, name="search")

    @task(2)
    def paper(self) -> None:
        """A measured paper."""
        self.client.get("/papers/hdpo", name="paper")
