"""The common battery: what every method, study and card passes by being listed.

`run(slug)` goes through all checks and yields a result each; `livepapers check <slug>` prints them. Exceptions are
declared on the card (`[checks_expected_to_fail]`, name = "reason") and are strict: an unexpected pass fails.
"""

from livepapers.battery.check import Check, CheckResult, all_checks, run

__all__ = ["Check", "CheckResult", "all_checks", "run"]
