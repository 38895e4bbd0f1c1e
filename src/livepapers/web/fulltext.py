"""Full text of the papers: FTS5 on SQLite, a generated tsvector on PostgreSQL. The database keeps both in step.

Triggers do it, so whoever writes `papers` need not think of it. They also count changes of the text in
`papers_revision`; votes are none.
"""

# ruff: noqa: S608 - only constants of this module stand in its statements; what people type is a parameter

import unicodedata
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from livepapers.papers.search import fold, terms

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
"""Share of the best paper's score that a paper needs to be found by some of several words; with all it is found."""
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
    """The slugs of all papers that have the query's words, or enough of them, best first.

    Args:
        connection: Reads.
        query: Any text; words without meaning count only where there are no others.
    """
    found = _words(query)
    if not found:
        return []
    sqlite = connection.dialect.name == "sqlite"
    asked = [_asked_sqlite(spellings) if sqlite else _asked_postgresql(spellings) for spellings in found]
    some, every = (" OR ", " AND ") if sqlite else (" | ", " & ")
    values = {"some": some.join(asked), "every": every.join(asked), "share": RELEVANT if len(found) > 1 else 0.0}
    return list(connection.execute(_FIND_SQLITE if sqlite else _FIND_POSTGRESQL, values).scalars())


def naming(connection: Connection, names: Sequence[str]) -> list[str]:
    """The slugs of the papers whose title, tags or summary has one of these names as it is typed, the newest first."""
    if not names:
        return []
    said = "lower(title || ' ' || CAST(tags AS text) || ' ' || summary)"
    has = " OR ".join(f"{said} LIKE :name{number}" for number in range(len(names)))  # no name holds a % or _
    values = {f"name{number}": f"%{name.lower()}%" for number, name in enumerate(names)}
    found = sa.text(f"SELECT slug FROM papers WHERE {has} ORDER BY submitted DESC, slug")
    return list(connection.execute(found, values).scalars())


def _words(query: str) -> list[list[str]]:
    """The query's words, each in the spellings that the databases keep: Korean syllables are whole there."""
    marked = [word for word in unicodedata.normalize("NFC", query).casefold().split() if word.isalnum()]
    other = {fold(word): word for word in marked if fold(word) != word and not fold(word).isascii()}  # marks stay
    return [
        list(dict.fromkeys([unicodedata.normalize("NFC", word), other.get(word, unicodedata.normalize("NFC", word))]))
        for word in terms(query)
    ]


def _asked_sqlite(spellings: list[str]) -> str:
    """One word as FTS5 asks for it: it is quoted, so it is no operator."""
    quoted = ((word, '"' + word.replace('"', '""') + '"') for word in spellings)
    return f"({' OR '.join(f'{text} OR {text} *' if len(word) >= _SHORTEST else text for word, text in quoted)})"


def _asked_postgresql(spellings: list[str]) -> str:
    """One word of a tsquery: it is quoted, so it is no operator."""
    quoted = ((word, "'" + word.replace("\\", "\\\\").replace("'", "''") + "'") for word in spellings)
    return f"({' | '.join(f'{text}:*' if len(word) >= _SHORTEST else text for word, text in quoted)})"


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


# Of a paper that has all words it does not matter how many better ones there are. The papers come from an index that
# holds all that is asked of them: their rows, which are long, are not read.
_FIND_SQLITE = sa.text(
    f"WITH found AS MATERIALIZED (SELECT rowid AS id, -bm25(papers_text, {_WEIGHTS}) AS score FROM papers_text "
    "WHERE papers_text MATCH :some) "
    "SELECT papers.slug FROM found JOIN papers INDEXED BY papers_named ON papers.id = found.id "
    "WHERE score >= :share * (SELECT max(score) FROM found) "
    "OR found.id IN (SELECT rowid FROM papers_text WHERE papers_text MATCH :every) "
    "ORDER BY score DESC, papers.submitted DESC, papers.slug"
)
_FIND_POSTGRESQL = sa.text(
    "WITH found AS MATERIALIZED (SELECT slug, submitted, ts_rank(words, asked) AS score, words @@ complete AS complete "
    f"FROM papers, to_tsquery('english', {_plain('CAST(:some AS text)')}) AS asked, "
    f"to_tsquery('english', {_plain('CAST(:every AS text)')}) AS complete WHERE words @@ asked) "
    "SELECT slug FROM found WHERE complete OR score >= :share * (SELECT max(score) FROM found) "
    "ORDER BY score DESC, submitted DESC, slug"
)
