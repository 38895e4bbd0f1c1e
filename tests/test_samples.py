"""Samples are found from the command line, as the help of `apply` says."""

import dataclasses
import re

import pytest

from livepapers import samples
from livepapers.methods import fishery, ospo, pdppo, yann_rl
from livepapers.methods.yann_rl.model_file import ModelFile
from livepapers.samples.__main__ import main
from livepapers.tasks.ecosystem_model import Competition, Drift, Ecosystem, Fishery, Predation, Species
from livepapers.tasks.lot_sizing_plant import Demand, Item, LotSizingPlant, Machine, Makes


def test_the_path_of_a_sample_is_printed_and_without_a_name_all_names(capsys: pytest.CaptureFixture[str]):
    assert main(["bakery_plant.yml"]) == 0
    assert capsys.readouterr().out == f"{samples.path('bakery_plant.yml')}\n"
    assert main([]) == 0
    assert capsys.readouterr().out.split() == samples.names()


def test_an_unknown_sample_gets_one_line_with_the_known_ones(capsys: pytest.CaptureFixture[str]):
    assert main(["bakery.yml"]) == 2
    assert capsys.readouterr().err.startswith("Error: sample: got bakery.yml, expected one of bakery_plant.yml, ")


FILES = {
    "pdppo": (pdppo, (LotSizingPlant, Item, Machine, Makes, Demand)),
    "fishery": (fishery, (Ecosystem, Species, Fishery, Competition, Predation, Drift)),
    "yann-rl": (yann_rl, (ModelFile,)),
}
"""The method and the parts of the file that its `apply` reads."""


@pytest.mark.parametrize("slug", FILES)
def test_help_names_every_field_of_the_file_and_a_sample_that_is_there(slug: str):
    method, parts = FILES[slug]
    text = " ".join((method.apply.__doc__ or "").partition("Returns:")[0].split())
    words = set(re.findall(r"\w+", text))
    assert {field.name for part in parts for field in dataclasses.fields(part)} <= words
    copied = re.search(r"cp \$\(python -m livepapers\.samples (\w+\.yml)\) \w+\.yml", text)
    assert copied is not None
    assert copied[1] in samples.names()


def test_help_names_the_columns_of_trips_and_says_which_is_not_read():
    text = ospo.apply.__doc__ or ""
    for column in ("tpep_pickup_datetime", "tpep_dropoff_datetime", "PULocationID", "DOLocationID"):
        assert column in text
    assert "not read, not even passenger_count" in text
