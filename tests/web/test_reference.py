"""The page that describes the JSON API says what the API does."""

import html
import re

from fastapi.testclient import TestClient


def test_it_has_every_endpoint_with_its_values_and_every_shape_that_it_links_to(client: TestClient) -> None:
    document, text = client.get("/api/openapi.json").json(), client.get("/api").text
    for path, operations in document["paths"].items():
        assert f"<code>{path}</code>" in text
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                assert f"<code>{parameter['name']}</code>" in text
    linked = set(re.findall('href="#shape-([A-Za-z]+)"', text))
    assert linked <= set(re.findall('id="shape-([A-Za-z]+)"', text))
    assert {"PaperDetail", "SearchList", "Vote"} <= linked | set(document["components"]["schemas"])


def test_limits_and_defaults_are_those_that_are_kept(client: TestClient) -> None:
    text = client.get("/api").text
    assert "from 1, to 100, 30 where it is left out" in text
    assert client.get("/api/papers?size=100").status_code == 200
    assert client.get("/api/papers?size=101").status_code == 422
    assert "trending, newest, measured" in text


def test_its_examples_work(client: TestClient) -> None:
    examples = re.findall(r"curl '(\S+)'", html.unescape(client.get("/api").text))
    assert len(examples) == 3
    assert {client.get(address).status_code for address in examples} == {200}
