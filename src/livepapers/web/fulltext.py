"""Full text of the papers: FTS5 on SQLite, a generated tsvector on PostgreSQL. The database keeps both in step.

Triggers do it, so whoever writes `papers` need not think of it. They also count changes of the text in
`papers_revision`; votes are none.
"""

# ruff: noqa: S608 - only constants of this module stand in its statements; what people type is a parameter

import unicodedata

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.papers.search import fold, terms

HITS = 200
"""Papers that one search returns at most: nobody turns more pages."""
_COLUMNS = ("slug", "title", "tags", "authors", "field", "summary")
_NAMES = ", ".join(_COLUMNS)
_CLASSES = "AABBCD"  # of _COLUMNS, for PostgreSQL, which knows four weights
_WEIGHTS = "4.0, 3.0, 2.0, 2.0, 1.0, 1.0"  # of _COLUMNS, as the search of the command line has them
_LETTERS = {
    "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "æ": "ae", "Æ": "AE",
    "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH", "ı": "i",
}  # fmt: skip
"""What has no mark to take off; as `papers.search.fold` has it."""
RELEVANT = 0.5
"""Share of the best paper's score that a paper needs to be found by some of several words."""
_SHORTEST = 4  # letters a word needs before it also matches longer words that begin with it


def install(connection: Connection) -> None:
    """Make the full text of the `papers` table if it has none yet, and fill it."""
    if sa.inspect(connection).has_table("papers_revision"):
        return
    for statement in (*_REVISION, *(_sqlite() if connection.dialect.name == "sqlite" else _postgresql())):
        connection.exec_driver_sql(statement)


def revision(connection: Connection) -> int:
    """A number that grows whenever a paper comes, goes, or changes its text."""
    return int(connection.exec_driver_sql("SELECT number FROM papers_revision").scalar_one())


def matching(connection: Connection, query: str) -> list[str]:
    """The slugs of the papers that have the query's word, or enough of its words, best first, at most HITS.

    Args:
        connection: Reads.
        query: Any text; words without meaning count only where there are no others.
    """
    found = _words(query)
    if not found:
        return []
    sqlite = connection.dialect.name == "sqlite"
    asked = _asked_sqlite(found) if sqlite else _asked_postgresql(found)
    rows = connection.execute(_FIND_SQLITE if sqlite else _FIND_POSTGRESQL, {"asked": asked, "hits": HITS}).all()
    least = RELEVANT * rows[0].score if rows and len(found) > 1 else 0.0
    return [row.slug for row in rows if row.score >= least]


def _words(query: str) -> list[str]:
    """The query's words as both databases keep them: Korean syllables are whole there."""
    folded = [unicodedata.normalize("NFC", word) for word in terms(query)]
    marked = [word for word in unicodedata.normalize("NFC", query).casefold().split() if word.isalnum()]
    other = [word for word in marked if fold(word) != word and not fold(word).isascii()]  # marks that both keep
    return list(dict.fromkeys([*folded, *other]))


def _asked_sqlite(found: list[str]) -> str:
    """An FTS5 query: every word is quoted, so none is an operator."""
    quoted = ((word, '"' + word.replace('"', '""') + '"') for word in found)
    return " OR ".join(f"{text} OR {text} *" if len(word) >= _SHORTEST else text for word, text in quoted)


def _asked_postgresql(found: list[str]) -> str:
    """A tsquery: every word is quoted, so none is an operator."""
    quoted = ((word, "'" + word.replace("\\", "\\\\").replace("'", "''") + "'") for word in found)
    return " | ".join(f"{text}:*" if len(word) >= _SHORTEST else text for word, text in quoted)


_REVISION = (
    "CREATE TABLE papers_revision (number INTEGER NOT NULL)",
    "INSERT INTO papers_revision VALUES (0)",
)
_COUNT = "UPDATE papers_revision SET number = number + 1"


def _sqlite() -> tuple[str, ...]:
    values = {name: f"new.{name}" for name in _COLUMNS}
    values["slug"] = "new.slug || ' ' || replace(new.slug, '-', '')"
    for name in ("authors", "tags"):  # JSON spells other letters as \uXXXX
        values[name] = f"(SELECT group_concat(value, ' ') FROM json_each(new.{name}))"
    for name in ("title", "authors", "summary"):
        for letter, plain in _LETTERS.items():
            values[name] = f"replace({values[name]}, '{letter}', '{plain}')"
    fill = f"INSERT INTO papers_text (rowid, {_NAMES}) "
    row = f"new.id, {', '.join(values.values())}"
    old, new = (", ".join(f"{side}.{name}" for name in _COLUMNS) for side in ("old", "new"))
    return (
        f"CREATE VIRTUAL TABLE papers_text USING fts5({_NAMES}, "
        "tokenize = 'porter unicode61 remove_diacritics 2', prefix = '4 6')",
        f"{fill} SELECT {row} FROM papers AS new",
        f"CREATE TRIGGER papers_text_insert AFTER INSERT ON papers BEGIN {fill} VALUES ({row}); {_COUNT}; END",
        f"CREATE TRIGGER papers_text_update AFTER UPDATE OF id, {_NAMES} ON papers "
        f"WHEN (old.id, {old}) IS NOT (new.id, {new}) "
        f"BEGIN DELETE FROM papers_text WHERE rowid = old.id; {fill} VALUES ({row}); {_COUNT}; END",
        "CREATE TRIGGER papers_text_delete AFTER DELETE ON papers "
        f"BEGIN DELETE FROM papers_text WHERE rowid = old.id; {_COUNT}; END",
    )


def _plain(text: str) -> str:
    """PostgreSQL: a text without accents, as an expression of immutable functions, without extensions."""
    for letter, plain in _LETTERS.items():
        text = f"replace({text}, '{letter}', '{plain}')"
    marks = "[\\u0300-\\u036f]"
    return f"normalize(regexp_replace(normalize({text}, NFKD), '{marks}', '', 'g'), NFC)"


def _postgresql() -> tuple[str, ...]:
    values = {name: name for name in _COLUMNS}
    values["slug"] = "slug || ' ' || replace(slug, '-', '')"
    for name in ("authors", "tags"):
        values[name] = f"CAST(CAST({name} AS jsonb) AS text)"
    words = (
        f"setweight(to_tsvector('english', {_plain(value)}), '{weight}')"
        for value, weight in zip(values.values(), _CLASSES, strict=True)
    )
    # The counter is taken before any paper is: two imports at once queue for it, not for each other's papers.
    return (
        f"ALTER TABLE papers ADD COLUMN words tsvector GENERATED ALWAYS AS ({' || '.join(words)}) STORED",
        "CREATE INDEX papers_words ON papers USING gin (words)",
        "CREATE OR REPLACE FUNCTION papers_revised() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN {_COUNT}; RETURN NULL; END'",
        f"CREATE TRIGGER papers_revision_counts BEFORE INSERT OR DELETE OR UPDATE OF {_NAMES} ON papers "
        "FOR EACH STATEMENT EXECUTE FUNCTION papers_revised()",
    )


_FIND_SQLITE = sa.text(
    # the best are chosen before papers are looked up: most of thousands of matches are never shown
    f"SELECT papers.slug, score FROM (SELECT rowid, -bm25(papers_text, {_WEIGHTS}) AS score FROM papers_text "
    "WHERE papers_text MATCH :asked ORDER BY score DESC LIMIT :hits) AS found "
    "JOIN papers ON papers.id = found.rowid ORDER BY score DESC, papers.submitted DESC, papers.slug"
)
_FIND_POSTGRESQL = sa.text(
    "SELECT slug, ts_rank(words, asked) AS score "
    f"FROM papers, to_tsquery('english', {_plain('CAST(:asked AS text)')}) AS asked "
    "WHERE words @@ asked ORDER BY score DESC, submitted DESC, slug LIMIT :hits"
)
