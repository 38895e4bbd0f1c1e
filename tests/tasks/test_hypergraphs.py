"""Temporal hypergraphs and their readers."""

import os
import subprocess
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.tasks.hypergraph_models import (
    independent_triples,
    large_synthetic,
    planted_groups,
    shuffled_memberships,
)
from livepapers.tasks.hypergraphs import (
    TemporalSimplices,
    decode,
    encode,
    from_contacts,
    read_contacts,
    read_git,
    read_scholp,
    read_sets,
    write_scholp,
)

SETS = st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6), min_size=1, max_size=12)


def as_sets(simplices):
    return [frozenset(simplices.labels[node] for node in nodes) for nodes, _ in simplices]


@given(SETS)
def test_a_simplex_is_a_set_whatever_the_order_and_the_repeats(sets):
    made = TemporalSimplices.from_lists(sets, range(len(sets)))
    assert as_sets(made) == [frozenset(map(str, nodes)) for nodes in sets]


@given(SETS)
def test_projected_weights_count_common_simplices(sets):
    made = TemporalSimplices.from_lists(sets, range(len(sets)))
    weights = made.projected().toarray()
    for a in range(made.nodes):
        for b in range(made.nodes):
            common = sum({made.labels[a], made.labels[b]} <= nodes for nodes in as_sets(made))
            assert weights[a, b] == (0 if a == b else common)


@given(SETS, st.integers(2, 4))
def test_subsets_are_those_inside_some_simplex_with_their_counts(sets, order):
    made = TemporalSimplices.from_lists(sets, range(len(sets)))
    expected: dict[tuple[int, ...], int] = {}
    for nodes, _ in made:
        for group in combinations(nodes.tolist(), order):
            expected[group] = expected.get(group, 0) + 1
    rows, counts = made.subsets(order)
    assert dict(zip(map(tuple, rows.tolist()), counts.tolist(), strict=True)) == expected
    assert rows.tolist() == sorted(rows.tolist())


def test_subsets_of_simplices_too_large_for_a_key_are_counted_too():
    made = TemporalSimplices.from_lists([range(25), range(25), range(500)], [1, 2, 3]).limited()
    rows, counts = made.subsets(3)
    assert len(rows) == 2300
    assert (counts == 2).all()


@given(st.lists(st.tuples(*[st.integers(0, 99)] * 3), min_size=1, max_size=20))
def test_encode_and_decode_are_inverse(rows):
    array = np.array(rows)
    assert (decode(encode(array, 100), 100, order=3) == array).all()


def test_too_many_nodes_for_groups_of_four_are_refused_in_one_line():
    members = np.arange(60_000)
    made = TemporalSimplices.from_arrays(members, np.full(30_000, 2), times=np.arange(30_000))
    with pytest.raises(InputError, match="expected at most"):
        made.subsets(4)


def test_the_cut_is_the_rounded_percentile_of_times_with_repeats():
    made = TemporalSimplices.from_lists([["a"]] * 5, [1, 1, 1, 10, 20])
    assert made.cut(50) == 1
    assert made.cut(80) == 12
    assert len(made.until(80)) + len(made.between(80, 100)) == 5
    assert made.until(80).times.max() <= 12 < made.between(80, 100).times.min()


def test_times_beyond_double_precision_are_kept():
    made = TemporalSimplices.from_lists([["a", "b"]], [2**60 + 1])
    assert made.times[0] == 2**60 + 1


def test_singletons_count_as_presence_and_make_no_edge():
    made = TemporalSimplices.from_lists([["a"], ["b", "c"]], [1, 2])
    assert made.present().all()
    assert made.projected().nnz == 2


@pytest.mark.parametrize(
    ("members", "sizes", "times", "said"),
    [
        ([1, 2, 3], [2], [1], "a sum of 2"),
        ([1, 2], [2, 0], [1, 2], "size >= 1"),
        ([1, 2], [-1, 3], [1, 2], "size >= 1"),
        ([1, 2], [2], [1, 2], "one for each simplex"),
        ([], [], [], "at least one simplex"),
        ([1.5, 2], [2], [1], "whole numbers"),
        ([[1, 2]], [2], [1], "one-dimensional"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(members, sizes, times, said):
    with pytest.raises(InputError, match=said):
        TemporalSimplices.from_arrays(np.array(members), np.array(sizes, dtype=int), times=np.array(times, dtype=int))


def test_members_outside_the_labels_are_refused():
    with pytest.raises(InputError, match="node 2"):
        TemporalSimplices.from_arrays(np.array([0, 2]), np.array([2]), times=np.array([0]), labels=["a", "b"])


# ------------------------------------------------------------------------------------------------------------- ScHoLP


@given(SETS)
def test_scholp_files_are_read_back_as_written(sets):
    import tempfile
    from pathlib import Path

    made = TemporalSimplices.from_lists(sets, range(len(sets)))
    with tempfile.TemporaryDirectory() as folder:
        write_scholp(made, Path(folder) / "toy")
        for place in (Path(folder) / "toy", Path(folder)):
            back = read_scholp(place)
            assert as_sets(back) == as_sets(made)
            assert (back.times == made.times).all()


SCHOLP_FAULTS = {
    "no times": ({"times": None}, "existing file"),
    "a word": ({"simplices": "1\nx\n2\n3\n"}, "entry 2"),
    "a real number": ({"times": "1.5\n2\n"}, "an integer"),
    "empty": ({"nverts": "\n"}, "the file is empty"),
    "binary": ({"simplices": "\0\1"}, "binary"),
    "huge number": ({"times": f"{10**30}\n2\n"}, "an integer"),
    "sum differs": ({"nverts": "2\n3\n"}, "a sum of 5"),
    "negative size": ({"nverts": "-2\n6\n"}, "size >= 1"),
    "lengths differ": ({"times": "1\n2\n3\n"}, "one for each simplex"),
}


def scholp(folder, **changes):
    for name, text in {"simplices": "1\n2\n2\n3\n", "nverts": "2\n2\n", "times": "1\n2\n", **changes}.items():
        if text is not None:
            (folder / f"toy-{name}.txt").write_text(text)
    return folder / "toy"


@pytest.mark.parametrize("fault", SCHOLP_FAULTS)
def test_unusable_scholp_files_get_one_line(tmp_path, fault):
    changes, said = SCHOLP_FAULTS[fault]
    with pytest.raises(InputError, match=said) as caught:
        read_scholp(scholp(tmp_path, **changes))
    assert "\n" not in str(caught.value)
    assert "--hypergraph" in str(caught.value)


def test_node_labels_are_used_when_there(tmp_path):
    prefix = scholp(tmp_path)
    (tmp_path / "toy-node-labels.txt").write_text("1 Ada Lovelace\n2 Emmy\n3 Sofja\n")
    assert read_scholp(prefix).labels == ("Ada Lovelace", "Emmy", "Sofja")


# ----------------------------------------------------------------------------------------------------------- contacts


def test_contacts_become_the_maximal_cliques_of_each_snapshot():
    text = "20\t1\t2\tA\tB\n20\t2\t3\tA\tB\n20\t1\t3\tA\tB\n20\t3\t4\tA\tB\n40\t2\t1\tA\tB\n40\t5\t5\tA\tB\n"
    made = read_contacts(text, where="toy")
    assert as_sets(made) == [{"1", "2", "3"}, {"3", "4"}, {"1", "2"}]
    assert made.times.tolist() == [20, 20, 40]


def test_wider_snapshots_merge_contacts():
    pairs = np.array([[0, 1], [1, 2], [0, 2]])
    made = from_contacts(np.array([1, 25, 39]), pairs, labels=["a", "b", "c"], snapshot=20)
    assert as_sets(made) == [{"a", "b"}, {"a", "b", "c"} - {"b"}, {"b", "c"}] or len(made) == 3
    assert len(from_contacts(np.array([1, 25, 39]), pairs, labels=["a", "b", "c"], snapshot=60)) == 1


def test_a_line_that_is_no_contact_is_named():
    with pytest.raises(InputError, match="line 2"):
        read_contacts("1 2 3\n1 2\n", where="toy")


# ---------------------------------------------------------------------------------------------------------------- CSV


def test_sets_are_read_with_numbers_or_dates_as_times(tmp_path):
    path = tmp_path / "sets.csv"
    path.write_text("time,members\n2020-01-02,a; b;c\n2020-01-01T12:00:00,d\n")
    made = read_sets(path)
    assert as_sets(made) == [{"a", "b", "c"}, {"d"}]
    assert made.times[0] - made.times[1] == 12 * 3600
    path.write_text("time,members\n1700000000000,a;b\n")
    assert read_sets(path).times.tolist() == [1700000000000]


CSV_FAULTS = {
    "no members column": ("time,group\n1,a\n", "column members"),
    "no rows": ("time,members\n", "at least one row"),
    "no time": ("time,members\n,a;b\n", "line 2: time"),
    "no name": ("time,members\n1,;\n", "no name"),
    "not a time": ("time,members\n1,a\nsoon,b\n", "line 3: time"),
    "mixed times": ("time,members\n1,a\n2020-01-01,b\n", "mixed"),
    "real number": ("time,members\n1.5,a\n", "line 2: time"),
    "huge number": (f"time,members\n{10**30},a\n", "line 2: time"),
    "empty": ("", "the file is empty"),
    "binary": ("time,members\n1,\0\n", "binary"),
}


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_unusable_csv_files_get_one_line(tmp_path, fault):
    text, said = CSV_FAULTS[fault]
    path = tmp_path / "sets.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_sets(path)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------- git


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    clock = iter(range(1_700_000_000, 1_800_000_000, 1000))

    def git(*arguments):
        when = f"{next(clock)} +0000"
        who = {f"GIT_{role}_{part}": "t" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "HOME": str(tmp_path)}
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=environment)

    git("init", "-q")
    return folder, git


def commit(repository, **files):
    folder, git = repository
    for name, text in files.items():
        (folder / name).write_text(text)
    git("add", "-A")
    git("commit", "-q", "-m", "change")


def test_a_commit_is_a_set_of_files_and_renames_keep_their_identity(repository):
    folder, git = repository
    long = "\n".join(map(str, range(100)))
    commit(repository, a=long, b="1")
    (folder / "a").rename(folder / "naïve name")
    commit(repository, b="2")
    commit(repository, **{"naïve name": long + "x", "c": "1"})
    git("rm", "-q", "b")
    commit(repository)
    made, alive = read_git(folder)
    assert as_sets(made) == [{"naïve name", "b"}, {"naïve name", "b"}, {"naïve name", "c"}, {"b"}]
    assert alive == {"naïve name", "c"}
    assert (np.diff(made.times) > 0).all()


def test_a_new_file_with_an_old_name_is_another_file_only_if_the_name_was_moved_away(repository):
    folder, _ = repository
    long = "\n".join(map(str, range(100)))
    commit(repository, a=long)
    (folder / "a").rename(folder / "b")
    commit(repository)
    commit(repository, a="new")
    made, _ = read_git(folder)
    assert as_sets(made) == [{"b"}, {"b"}, {"a"}]


def test_merges_are_left_out(repository):
    folder, git = repository
    commit(repository, a="1")
    git("checkout", "-q", "-b", "side")
    commit(repository, b="1")
    git("checkout", "-q", "-")
    commit(repository, c="1")
    git("merge", "-q", "--no-edit", "side")
    assert sorted(as_sets(read_git(folder)[0]), key=sorted) == [{"a"}, {"b"}, {"c"}]


def test_folders_without_history_get_one_line(tmp_path, repository):
    for place, said in ((tmp_path / "missing", "a folder"), (tmp_path, "git repository"), (repository[0], "commits")):
        with pytest.raises(InputError, match=said) as caught:
            read_git(place)
        assert "\n" not in str(caught.value)


def test_a_missing_git_program_is_said(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="git installed"):
        read_git(repository[0])


# --------------------------------------------------------------------------------------------------------- generators


def test_the_null_model_draws_each_triple_with_its_probability():
    counts = [len(independent_triples(numpy_generator(seed, "null"), 30, exponent=1.0)) for seed in range(20)]
    expected, spread = 4060 / 30, np.sqrt(4060 / 30 / 20)
    assert abs(np.mean(counts) - expected) < 5 * spread
    made = independent_triples(numpy_generator(0, "null"), 30, exponent=0.0)
    assert len(made.subsets(3)[0]) == len(made) == 4060


def test_the_configuration_null_keeps_sizes_and_activity_by_size():
    made = planted_groups(numpy_generator(0, "planted"))
    shuffled = shuffled_memberships(made, numpy_generator(1, "shuffle"))
    assert len(shuffled) == len(made)
    assert (shuffled.sizes <= made.sizes).all()
    assert shuffled.projected().nnz > made.projected().nnz


def test_the_large_generator_is_heavy_tailed_and_of_the_size_asked_for():
    made = large_synthetic(numpy_generator(0, "large"), simplices=20_000, nodes=5_000)
    activity = np.bincount(made.members, minlength=made.nodes)
    assert len(made) == 20_000
    assert activity.max() > 5 * activity.mean()


def test_generators_depend_on_their_stream_alone():
    for make in (planted_groups, lambda rng: independent_triples(rng, 20, exponent=1.2)):
        one, two = make(numpy_generator(3, "x")), make(numpy_generator(3, "x"))
        assert (one.members == two.members).all()
        assert (one.times == two.times).all()


def test_null_models_without_sense_are_refused():
    with pytest.raises(InputError, match="n >= 3"):
        independent_triples(numpy_generator(0, "null"), 2, exponent=1.0)


def test_sizes_whose_sum_overflows_are_refused():
    with pytest.raises(InputError, match="nverts entry 1: got 9223372036854775807, expected at most 2"):
        TemporalSimplices.from_arrays(np.array([1, 2]), np.array([2**63 - 1, 2**63 - 1, 4]), times=np.arange(3))
