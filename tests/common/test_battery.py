"""Every method, study and card passes the battery by being listed."""

import pytest

from livepapers.battery import all_checks
from livepapers.battery.check import Check
from livepapers.battery.subject import Subject
from livepapers.papers import catalogue

SLUGS = [slug for slug in catalogue.load() if catalogue.method_module(slug) is not None]


# all checks of a paper in one process: they share what they have trained
@pytest.mark.parametrize("slug", [pytest.param(slug, marks=pytest.mark.xdist_group(slug)) for slug in SLUGS])
@pytest.mark.parametrize(
    "one", [pytest.param(one, marks=[pytest.mark.slow] * one.slow, id=one.name) for one in all_checks()]
)
def test_check(slug: str, one: Check):
    result = one.result(Subject.of(slug))
    if result.status == "skipped":
        pytest.skip(result.detail)
    assert result.status != "failed", result.detail


def test_there_are_at_least_thirty_checks_with_numbers_and_names_of_their_own():
    checks = all_checks()
    assert len(checks) >= 30
    assert len({one.number for one in checks}) == len(checks)
    assert len({one.name for one in checks}) == len(checks)
    assert all(one.statement.endswith(".") for one in checks)
