"""Search by idea: papers that say in other words what a query asks for. No network is run, words are looked up.

A query's word counts where the same word stands, and less where one with a similar vector does (the gain of BM25 times
a similarity that fades to nothing at `NEAR`): "taxi" finds "vehicles". Beside the words, texts are read for the ideas
of `vectors/glossary.toml`, a list of what practitioners call the things of these fields: there, "MAPF" and "path
finding without collisions" are one. Papers are kept as arrays, so 10,000 of them take a few milliseconds a query.
"""

import bisect
import difflib
import functools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from livepapers.papers.search import K1, B, terms, words

VECTORS = Path(__file__).parent / "vectors" / "words.safetensors"
GLOSSARY = VECTORS.with_name("glossary.toml")

NEAR = 0.3  # cosine below which two words have nothing to do with each other
NEIGHBOURS = 64  # similar words of one query word that count
IDEAS = 1.0  # what an idea of the glossary is worth, relative to a word
GIST = 0.7  # what the likeness of the whole texts is worth, relative to a paper with all words and ideas
COMMON = 1e-4  # share of all words in a text above which a word says little (Arora et al., 2017: 1e-3 to 1e-5)
REPAIRED = 5  # unknown words of a query that are repaired; one with more is no misspelling: a paste, another language
ALIKE = 0.8  # difflib's likeness that a word needs to be meant by an unknown one
VOCABULARY = 400_000  # words that the ranks of the vectors were counted over
PLACES: Mapping[str, float] = {
    "slug": 2.0, "title": 2.0, "tags": 2.0, "field": 1.0, "summary": 1.0, "questions": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A paper's text, by place: what is indexed of it."""

    slug: str
    title: str
    tags: Sequence[str]
    field: str
    summary: str
    questions: Sequence[str] = ()

    def places(self) -> dict[str, list[str]]:
        """The words of each place; a full stop between tags is not needed, phrases may cross them."""
        return {
            "slug": words(self.slug), "title": words(self.title), "tags": words(" ".join(self.tags)),
            "field": words(self.field), "summary": words(self.summary),
            "questions": words(" ".join(self.questions)),
        }  # fmt: skip


class Lexicon:
    """The word vectors and the glossary.

    Args:
        vectors: File of the vectors.
        glossary: File of the glossary.
    """

    def __init__(self, vectors: Path = VECTORS, glossary: Path = GLOSSARY) -> None:
        found = load_file(vectors)
        rows = found["vectors"].astype(np.float32)
        self.vectors: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)  # [word, dimension]
        listed = found["words"].tobytes().decode().split("\n")
        self.rows = {word: row for row, word in enumerate(listed)}
        share = 1 / (found["ranks"] * np.log(VOCABULARY))  # Zipf's law
        self.telling: np.ndarray = (COMMON / (COMMON + share)).astype(np.float32)  # [word], 0 common to 1 rare
        groups = tomllib.loads(glossary.read_text(encoding="utf-8")).values()
        self.ideas = [name for group in groups for name in group]
        self._phrases: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for number, phrases in enumerate(phrases for group in groups for phrases in group.values()):
            for phrase in phrases:
                first, *rest = map(form, words(phrase))
                self._phrases.setdefault(first, []).append((tuple(rest), number))

    def row(self, word: str) -> int:
        """Where the word's vector stands, in whichever spelling it has one; -1 for none."""
        for spelling in (word, _american(word), _singular(word), form(word)):
            if spelling in self.rows:
                return self.rows[spelling]
        return -1

    def found(self, text: Sequence[str]) -> Counter[int]:
        """The ideas that the words of a text speak of, by number, and how often."""
        seen, forms = Counter[int](), [form(word) for word in text]
        for place, first in enumerate(forms):
            for rest, number in self._phrases.get(first, ()):
                if not rest or tuple(forms[place + 1 : place + 1 + len(rest)]) == rest:
                    seen[number] += 1
        return seen


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon of the page, read once."""
    return Lexicon()


@functools.lru_cache(2**17)
def form(word: str) -> str:
    """One spelling for a word: American, singular."""
    return _singular(_american(word))


def _american(word: str) -> str:
    if len(word) > 6:
        word = re.sub(r"is(e|es|ed|er|ers|ing|ation|ations)$", r"iz\1", word)
    return re.sub(r"(?<=...)our(s|ed|ing|al)?$", r"or\1", word)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if plural else word


@dataclass(frozen=True)
class _Document:
    text: Text
    weights: dict[str, float]  # of its words
    ideas: dict[int, float]


class Index:
    """Papers as arrays, fixed once made; `updated` makes the next one.

    Args:
        documents: By slug, as another index has read them.
    """

    def __init__(self, documents: Mapping[str, _Document]) -> None:
        self._documents, self._lexicon = documents, lexicon()
        self.slugs = list(documents)
        self._numbers = {slug: number for number, slug in enumerate(self.slugs)}
        self._similar: dict[tuple[str, int], list[str]] = {}
        self._near: dict[int, dict[int, float]] = {}
        self._fill_words()
        self._spelt = _Spelt(self._words)
        self._fill_ideas()

    @classmethod
    def of(cls, texts: Iterable[Text]) -> "Index":
        """An index of these papers."""
        return cls({}).updated(texts)

    def updated(self, texts: Iterable[Text]) -> "Index":
        """An index of these papers; those that this one has already read are not read again."""
        known = self._documents
        return Index({
            text.slug: known[text.slug] if text.slug in known and known[text.slug].text == text else self._read(text)
            for text in texts
        })  # fmt: skip

    def _read(self, text: Text) -> _Document:
        weights, ideas = Counter[str](), Counter[int]()
        for place, found in text.places().items():
            for word, times in Counter(found).items():
                weights[word] += PLACES[place] * times  # type: ignore[assignment] - a Counter of floats
            for number, times in self._lexicon.found(found).items():
                ideas[number] += PLACES[place] * times  # type: ignore[assignment]
        return _Document(text, dict(weights), dict(ideas))

    def _fill_words(self) -> None:
        """Gains of all words in all papers, sorted by word; those of word w begin at `_starts[w]`."""
        self._words: dict[str, int] = {}
        number, number_of = self._words, self._words.setdefault
        counts = np.array([len(document.weights) for document in self._documents.values()], np.int64)
        columns = np.fromiter(
            (number_of(word, len(number)) for document in self._documents.values() for word in document.weights),
            np.int64, counts.sum(),
        )  # fmt: skip
        weights = np.fromiter(
            (weight for document in self._documents.values() for weight in document.weights.values()),
            np.float32, counts.sum(),
        )  # fmt: skip
        papers = np.repeat(np.arange(len(counts)), counts)
        lengths = np.bincount(papers, weights, len(counts))
        self._papers, self._gains, spread = _saturated(papers, columns, weights, lengths, len(self._words))
        self._starts = np.concatenate([[0], np.cumsum(spread)])
        self._rarity = _rarity(spread, len(counts))
        rows = np.array([self._lexicon.row(word) for word in self._words], np.int64)
        self._known = np.flatnonzero(rows >= 0)  # columns whose word has a vector
        self._vectors = self._lexicon.vectors[rows[self._known]]
        self._rarity[self._known] *= self._lexicon.telling[rows[self._known]]

    def _fill_ideas(self) -> None:
        """Gains of all ideas in all papers, and the vector of each paper [paper, dimension]."""
        gains = np.zeros((len(self.slugs), len(self._lexicon.ideas)), np.float32)
        for row, document in enumerate(self._documents.values()):
            for number, weight in document.ideas.items():
                gains[row, number] = weight * (K1 + 1) / (weight + K1)
        self._idea_rarity = _rarity((gains > 0).sum(axis=0), len(self.slugs))
        gains *= self._idea_rarity
        self._idea_gains = np.ascontiguousarray(gains.T)  # [idea, paper]
        means = np.zeros((len(self.slugs), self._lexicon.vectors.shape[1]), np.float32)
        for column, vector in zip(self._known, self._vectors, strict=True):
            span = slice(self._starts[column], self._starts[column + 1])
            means[self._papers[span]] += (self._gains[span] * self._rarity[column])[:, None] * vector
        self._points = np.hstack([_unit(means), _unit(gains)])
        asked = [(n, q) for n, document in enumerate(self._documents.values()) for q in document.text.questions]
        self._asked_of = np.array([number for number, _ in asked], np.int64)  # [question], whose it is
        self._asked = np.zeros((len(asked), means.shape[1]), np.float32)  # [question, dimension]
        for place, (_, question) in enumerate(asked):
            self._asked[place] = self._mean(terms(question))

    def ranked(self, query: str, n: int) -> list[tuple[str, float]]:
        """The n papers that have most to do with the query, best first, with scores from 0 to about 1."""
        asked = terms(query)
        if not asked or not self.slugs:
            return []
        ideas = self._lexicon.found(words(query))
        scores, best = np.zeros(len(self.slugs), np.float32), 0.0
        for word in asked:
            scores += self._word(word)
            best += self._worth(word)
        for number in ideas:
            scores += IDEAS * self._idea_gains[number]
            best += IDEAS * float(self._idea_rarity[number]) * (K1 + 1)
        scores = np.where(scores > 0, scores / best + GIST * self._gist(asked), 0)
        return [(self.slugs[place], float(scores[place])) for place in _best(scores, n)]

    def corrected(self, query: str) -> str:
        """The query, words that nobody knows replaced by the papers' most similar ones; as it is if there are none."""
        unknown = [word for word in terms(query) if not self._known_word(word)]
        if len(unknown) > REPAIRED:
            return query
        found = {word: close for word in unknown if (close := self._spelt.closest(word))}
        return " ".join(found.get(word, word) for word in words(query)) if found else query

    def _known_word(self, word: str) -> bool:
        return self._lexicon.row(word) >= 0 or self._spelt.begins(word)

    def _gist(self, asked: Sequence[str]) -> np.ndarray:
        """How like the query each paper is [paper]: the best cosine with its whole text or one of its questions."""
        mean = self._mean(asked)
        likeness = np.einsum("pd,d->p", self._points[:, : len(mean)], mean)
        np.maximum.at(likeness, self._asked_of, np.einsum("qd,d->q", self._asked, mean))
        return likeness

    def _mean(self, asked: Sequence[str]) -> np.ndarray:
        """The mean of the words' vectors, as long as 1."""
        rows = [row for row in map(self._lexicon.row, asked) if row >= 0]
        return _unit((self._lexicon.telling[rows] @ self._lexicon.vectors[rows])[None])[0]

    def _worth(self, word: str) -> float:
        """What a query's word adds to the score of a paper that is all about it."""
        row = self._lexicon.row(word)
        common = float(self._lexicon.telling[row]) if row >= 0 else 1.0
        rarity = float(self._rarity[self._words[word]]) if word in self._words else float(self._rarity.max())
        return common * rarity * (K1 + 1)

    def _word(self, word: str) -> np.ndarray:
        """What a query's word adds to the score of each paper [paper]: the best of it and its neighbours there."""
        row, own = self._lexicon.row(word), self._words.get(word)
        scores = np.zeros(len(self.slugs), np.float32)
        near = dict(self._neighbours(row)) if row >= 0 and len(self._known) else {}
        if own is not None:
            near[own] = 1.0
        for column, weight in near.items():
            span = slice(self._starts[column], self._starts[column + 1])
            papers = self._papers[span]  # each once
            scores[papers] = np.maximum(scores[papers], self._gains[span] * (weight * self._rarity[column]))
        return scores * (self._lexicon.telling[row] if row >= 0 else 1.0)

    def _neighbours(self, row: int) -> dict[int, float]:
        """Columns of the papers' words that mean most nearly what a word of the lexicon does, each with its weight."""
        if row not in self._near:
            # einsum is one thread's work: a BLAS that wakes its own for so little waits longer than it computes
            similar = np.einsum("wd,d->w", self._vectors, self._lexicon.vectors[row])
            nearest = np.argpartition(-similar, min(NEIGHBOURS, len(similar)) - 1)[:NEIGHBOURS]
            self._near[row] = {
                int(self._known[place]): float(similar[place] - NEAR) / (1 - NEAR)
                for place in nearest if similar[place] > NEAR
            }  # fmt: skip
        return self._near[row]

    def similar(self, slug: str, n: int) -> list[str]:
        """The n papers that are most like this one, best first; none for a paper that is not there."""
        number = self._numbers.get(slug)
        if number is None:
            return []
        if (slug, n) not in self._similar:
            self._similar[slug, n] = self._alike(number, n)
        return self._similar[slug, n]

    def _alike(self, number: int, n: int) -> list[str]:
        scores = np.einsum("pd,d->p", self._points, self._points[number])
        return [self.slugs[place] for place in _best(scores, n + 1) if place != number][:n]


class _Spelt:
    """The papers' words in the order of a dictionary: which ones begin like, or are nearly, a given one."""

    def __init__(self, known: Iterable[str]) -> None:
        self._sorted = sorted(known)
        self._like: dict[tuple[str, int], list[str]] = {}  # by first letter and length
        for word in self._sorted:
            self._like.setdefault((word[0], len(word)), []).append(word)

    def begins(self, word: str) -> bool:
        """Whether a word of the papers begins with this one."""
        place = bisect.bisect_left(self._sorted, word)
        return place < len(self._sorted) and self._sorted[place].startswith(word)

    def closest(self, word: str) -> str:
        """A word of the papers that differs in a letter or two, the first one right; empty if there is none."""
        letters = _letters(word)
        near = [
            known for length in range(len(word) - 2, len(word) + 3) for known in self._like.get((word[0], length), ())
            if 2 * (letters & _letters(known)).bit_count() >= ALIKE * (len(word) + length)  # as alike as they can be
        ]  # fmt: skip
        return next(iter(difflib.get_close_matches(word, near, n=1, cutoff=ALIKE)), "")


@functools.lru_cache(2**17)
def _letters(word: str) -> int:
    """The letters of a word, whatever their order, as bits: what two words share is what both have set."""
    bits = 0
    for letter, times in Counter(word).items():
        bits |= ((1 << min(times, 8)) - 1) << 8 * (ord(letter) % 32)
    return bits


def _saturated(
    papers: np.ndarray, columns: np.ndarray, weights: np.ndarray, lengths: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Papers and gains sorted by word (BM25 without rarity), and how many papers each word has."""
    norms = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean()) if len(lengths) else 1.0))
    gains = (weights * (K1 + 1) / (weights + norms[papers])).astype(np.float32)
    order = np.argsort(columns, kind="stable")
    return papers[order], gains[order], np.bincount(columns, minlength=width)


def _best(scores: np.ndarray, n: int) -> np.ndarray:
    """The places of the n highest scores above 0, highest first, equal ones in their order."""
    some = np.flatnonzero(scores > 0)
    if len(some) > n:
        some = some[scores[some] >= np.partition(scores[some], -n)[-n]]
    return some[np.argsort(-scores[some], kind="stable")][:n]


def _rarity(spread: np.ndarray, papers: int) -> np.ndarray:
    return np.log1p((papers - spread + 0.5) / (spread + 0.5)).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
