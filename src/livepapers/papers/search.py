"""Ranked plain-text search over the cards: BM25 with weighted fields, prefixes and folded accents.

Reference: S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.4
(BM25F without per-field length: a card's summary is never long). The index of a few dozen cards is built in
milliseconds, so it is built for each call and nothing can be stale.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from livepapers.papers.catalogue import Card, newest_first

K1 = 1.2  # saturation of repeated words; the usual value of the reference
B = 0.5  # how far long cards are discounted: half, summaries differ little in length
PREFIX = 0.6  # what a longer word is worth that begins with the query's word, relative to the word itself
MIN_PREFIX = 3  # letters a query word needs before it matches longer words
ENDING = 0.3  # what a word is worth that differs in its ending only: `certify` and `certified`, `links` and `link`
MIN_STEM = 5  # letters two words must share for that; all but the last two of a longer query word
MAX_TERMS = 32  # words of a query that count; more are a paste, not a question
WEIGHTS: Mapping[str, float] = {
    "slug": 4.0,
    "title": 3.0,
    "tags": 2.0,
    "authors": 2.0,
    "field": 1.0,
    "summary": 1.0,
    "questions": 1.0,
}

# Words of a question that say nothing about a paper; they count only when a query has no others.
_COMMON = frozenset({
    "a", "an", "and", "are", "as", "at", "by", "can", "do", "for", "from", "how", "i", "in", "is", "it", "many", "much",
    "my", "of", "on", "or", "should", "that", "the", "to", "we", "what", "when", "where", "which", "with",
})  # fmt: skip

# Letters that Unicode does not decompose into a base letter and a mark.
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Lower case without accents: `Bölcskei` and `bolcskei` are the same word."""
    if text.isascii():  # nothing to take off
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return plain.casefold().translate(_LETTERS)


def words(text: str) -> list[str]:
    """The words of a text in order, folded; hyphens and punctuation separate them."""
    return _WORD.findall(fold(text))


def terms(query: str) -> list[str]:
    """The words of a query that say something, each once: common ones count only where there are no others."""
    asked = list(dict.fromkeys(words(query)))
    return ([word for word in asked if word not in _COMMON] or asked)[:MAX_TERMS]


def search(query: str, cards: Iterable[Card] | Mapping[str, Card]) -> list[tuple[float, Card]]:
    """Rank cards against a query.

    Args:
        query: Any text. Blank: every card, newest first, with score 0. A word counts where it, a longer word that
            begins with it, or the same word with another ending stands in slug, title, tags, authors, field or
            summary; a card's score is multiplied by the share of the query's words that it has.
        cards: What to search: cards, or the mapping that `catalogue.load` gives.

    Returns:
        Pairs (score, card) with score > 0, best first; equal scores newest first. No match: an empty list.
    """
    found = newest_first(list(cards.values() if isinstance(cards, Mapping) else cards))
    if not query.strip():
        return [(0.0, card) for card in found]
    asked = terms(query)
    documents = [_weighted_words(card) for card in found]
    scores = [0.0] * len(found)
    matched = [0] * len(found)
    for term in asked:
        for place, gain in _gains(term, documents).items():
            scores[place] += gain
            matched[place] += 1
    scores = [score * count / len(asked) if count else 0.0 for score, count in zip(scores, matched, strict=True)]
    ranked = sorted(zip(scores, found, strict=True), key=lambda pair: -pair[0])
    return [pair for pair in ranked if pair[0] > 0]


def _weighted_words(card: Card) -> Counter[str]:
    """How much each word weighs in a card: its occurrences times the weight of where it stands."""
    texts = {
        "slug": f"{card.slug} {card.slug.replace('-', '')}",
        "title": card.title,
        "tags": " ".join(card.tags),
        "authors": " ".join(card.authors),
        "field": card.field,
        "summary": card.summary,
        "questions": " ".join(card.questions),
    }
    weights: Counter[str] = Counter()
    for place, text in texts.items():
        for word in words(text):
            weights[word] += WEIGHTS[place]  # type: ignore[assignment] - a Counter of floats
    return weights


def _gains(term: str, documents: list[Counter[str]]) -> dict[int, float]:
    """What one query word adds to the score of each card that has it: {place in `documents`: gain}."""
    stem = min(term[: max(MIN_STEM, len(term) - 2)], term.removesuffix("s"), key=len)
    weights: dict[int, float] = {}
    for place, document in enumerate(documents):
        weight = float(document[term])
        if len(term) >= MIN_PREFIX:
            related = ((word, w) for word, w in document.items() if word.startswith(stem) and word != term)
            weight += sum(w * (PREFIX if word.startswith(term) else ENDING) for word, w in related)
        if weight:
            weights[place] = weight
    rarity = math.log(1 + (len(documents) - len(weights) + 0.5) / (len(weights) + 0.5))
    mean = sum(document.total() for document in documents) / max(1, len(documents))
    gains = {}
    for place, weight in weights.items():
        length = 1 - B + B * documents[place].total() / mean
        gains[place] = rarity * weight * (K1 + 1) / (weight + K1 * length)
    return gains
