"""Stories as temporal hypergraphs."""

import os
import pickle

import pytest

from livepapers.core.errors import InputError
from livepapers.tasks.stories import read_chapters, read_scenes

NAMES = {"0": "Ada", "1": "Ben", "2": "Cy"}


def test_scenes_keep_their_order_and_names():
    made = read_scenes(pickle.dumps(([{"2", "0"}, set(), {"1"}], NAMES, [5, 6, 7])), where="toy")
    assert made.labels == ("Cy", "Ada", "Ben")
    assert [([made.labels[node] for node in nodes], time) for nodes, time in made] == [(["Cy", "Ada"], 0), (["Ben"], 2)]


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pickle.dumps(([Trap()], NAMES)), "mkdir"),
        (pickle.dumps(([{"9"}], NAMES)), "9"),
        (pickle.dumps(7), "not subscriptable"),
        (pickle.dumps([1]), "not enough values"),
        (b"", "Ran out of input"),
        (b"no pickle", "toy"),
    ],
    ids=["runs code", "unknown character", "number", "short", "empty", "text"],
)
def test_another_pickle_is_refused_in_one_line_and_runs_nothing(data, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        read_scenes(data, where="toy")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_encounters_of_chapters_are_read_from_the_module_text():
    text = 'x = 1\ninteractions = """1.1.1:MY,NP;MY,MB\n        1.1.2\n        1.2.10:MY"""\n'
    made = read_chapters(text, where="toy")
    assert [([made.labels[node] for node in nodes], time) for nodes, time in made] == [
        (["MY", "NP"], 0), (["MB", "MY"], 1), (["MY"], 2)
    ]  # fmt: skip


def test_a_module_without_encounters_is_refused():
    with pytest.raises(InputError, match="another form"):
        read_chapters("import os\n", where="toy")
