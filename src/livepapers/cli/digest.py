"""`livepapers digest`: what is new, by mail, to those who asked for it."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livepapers.cli.command import Command, examples, json_option, store_option

if TYPE_CHECKING:
    from livepapers.web.digest import Report


@click.command(
    "digest",
    cls=Command,
    epilog=examples(
        "digest --issue daily --settings page.toml",
        "digest --issue weekly --settings page.toml",
        "digest --issue daily --dry-run  # who would get one",
    ),
)
@click.option("--issue", type=click.Choice(["daily", "weekly"]), required=True, help="Which digest to send.")
@click.option("--dry-run", is_flag=True, help="Say who would get it; send nothing and mark nothing as sent.")
@click.option("--early", is_flag=True, help="Send to those as well who are not due yet.")
@click.option(
    "--most", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Mails at most in this run."
)
@click.option("--settings", type=click.Path(path_type=Path), help="TOML file: smtp_host, sender, url, outbox ...")
@store_option
@json_option
def command(
    issue: str, dry_run: bool, early: bool, most: int, settings: Path | None, store: str | None, as_json: bool
) -> int:
    """Send the digest to its readers, each issue once.

    It is meant for cron, hourly: a reader is due a day or a week (less an hour) after the last issue, the first time
    after the confirmation; who has no news gets no mail, and what certainly failed is tried again later. Days and weeks
    (from Monday) are those of UTC. Without a mail server in the settings, mails are written as .eml files to the
    outbox folder. Exit status 1 if a mail failed or the mail server was away.
    """
    from livepapers.cli.output import print_json
    from livepapers.papers import catalogue
    from livepapers.web import applying, digest, mail, subscriptions
    from livepapers.web.guard import Secret
    from livepapers.web.serving import last_served
    from livepapers.web.settings import read
    from livepapers.web.store import PageStore

    chosen = read(settings, {"store": store})
    with PageStore(chosen.store) as opened:
        if not chosen.url:  # links lead to where the page is served, whichever port it was given
            chosen = dataclasses.replace(chosen, url=last_served(opened.home))
        opened.sync(catalogue.load().values())
        mail.forget(chosen, opened.home, subscriptions.tidy(opened, time.time()))
        applying.tidy(opened.home, time.time())
        frequency = subscriptions.checked_frequency(issue)
        report = digest.run(opened, chosen, Secret(opened.home), frequency, dry_run=dry_run, early=early, most=most)
    if as_json:
        print_json(digest.as_json(report))
    else:
        _print(report, to_files=not chosen.smtp_host)
    return 1 if report.failed or report.stopped else 0


def _print(report: "Report", *, to_files: bool) -> None:
    """The report for people, and for the log of cron."""
    from livepapers.cli.output import note

    done = "would be sent" if report.dry_run else "written" if to_files else "sent"
    place = f"to the outbox {report.to}, because the settings name no mail server" if to_files else f"by {report.to}"
    click.echo(f"Issue {report.issue}: {_mails(len(report.sent))} {done} {place}")
    if report.dry_run:
        for reader in report.sent:
            click.echo(f"  {reader}")
    if report.no_news:
        click.echo(f"  {report.no_news} without news get none")
    if report.not_due:
        click.echo(f"  {report.not_due} not due yet (--early sends to them as well)")
    if report.waiting:
        click.echo(f"  {report.waiting} wait for the next run")
    for reader in report.failed:
        note(f"  failed, certainly not sent: {reader}")
    for delivery in report.unsure:
        note(f"  unsure, never sent again: {delivery}; the mail was cut off while it was sent")
    if report.stopped:
        note(f"  stopped: {report.stopped}")


def _mails(number: int) -> str:
    return f"{number} mail{'' if number == 1 else 's'}"
