"""The page's own tables, in the same database as the run store's."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from livepapers.web import fulltext

TABLES = MetaData()


def _plain(length: int) -> String:
    """Text that sorts letter by letter on each database; a server may sort as its country does, hyphens left out."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


papers = Table(
    "papers",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("slug", _plain(120), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("authors", JSON, nullable=False),  # ["Given Family", ...]
    Column("submitted", _plain(10), nullable=False),  # YYYY-MM-DD or YYYY-MM
    Column("field", String(40), nullable=False),  # a key of the catalogue's FIELDS; empty where nobody knows
    Column("tags", JSON, nullable=False),
    Column("summary", Text, nullable=False),
    Column("link", Text, nullable=False),  # https, where the paper can be read
    Column("arxiv", String(40), nullable=False),  # without version; empty where there is none
    Column("doi", Text, nullable=False),
    Column("code_url", Text, nullable=False),
    Column("source", String(20), nullable=False),  # "catalogue", or how it was imported: "arxiv", "page", "bibtex"
    Column("status", String(12), nullable=False),  # "listed", "runs", "measured"
    Column("claims", Integer, nullable=False),  # of the paper that have a verdict
    Column("added", Double, nullable=False),  # seconds since 1970, UTC, as all times here
    Column("votes", Integer, nullable=False),
    Column("heat", Double, nullable=False),  # see `store.heat`: orders papers by votes that fade, whatever the time
    Index("papers_hot", "heat", "submitted"),
    Index("papers_new", "submitted"),
    Index("papers_measured", "claims", "submitted"),
    Index("papers_of_field", "field", "heat", "submitted"),
    Index("papers_of_status", "status", "claims", "submitted"),
    Index("papers_arxiv", "arxiv"),
    Index("papers_doi", "doi"),
    Index("papers_added", "added"),
    Index("papers_named", "id", "submitted", "slug"),  # what a search orders its thousands of papers by
)

votes = Table(
    "votes",
    TABLES,
    Column("paper", ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True),
    Column("reader", String(64), primary_key=True),  # what the signed cookie says
    Column("cast", Double, nullable=False),
    Index("votes_cast", "cast"),
)

buckets = Table(  # of the rate limits
    "buckets",
    TABLES,
    Column("key", String(160), primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("filled", Double, nullable=False),
)

subscriptions = Table(
    "subscriptions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("address", String(320), nullable=False),
    Column("frequency", String(10), nullable=False),  # "daily" or "weekly"
    Column("query", Text, nullable=False),  # a saved search; empty: everything
    Column("wanted", String(10), nullable=False),  # the frequency that a confirmation sets
    Column("confirmed", Boolean, nullable=False),
    Column("confirm_hash", LargeBinary(32), nullable=False),  # of the link; another one once it was used
    Column("confirm_until", Double, nullable=False),
    Column("unsubscribe_hash", LargeBinary(32), nullable=False),
    Column("created", Double, nullable=False),
    Column("covered", Double, nullable=False),  # news up to then was sent
    UniqueConstraint("address", "query"),
)

deliveries = Table(  # the ledger: a row is there before its mail is sent
    "deliveries",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("subscription", ForeignKey("subscriptions.id", ondelete="CASCADE"), nullable=False),
    Column("issue", String(40), nullable=False),  # the day or week that the digest is of
    Column("state", String(10), nullable=False),  # "sending", "sent", "failed"
    Column("attempts", Integer, nullable=False),
    Column("changed", Double, nullable=False),
    UniqueConstraint("subscription", "issue"),
)

news = Table(  # verdicts as they came, for digests
    "news",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("slug", String(120), nullable=False),
    Column("claim", String(40), nullable=False),
    Column("verdict", String(40), nullable=False),
    Column("before", String(40), nullable=False),  # empty for a new one
    Column("at", Double, nullable=False, index=True),
)


@event.listens_for(TABLES, "after_create")
def _complete(_: object, connection: Connection, **__: object) -> None:
    fulltext.install(connection)
