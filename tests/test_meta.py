"""Statements about the source as a whole: safe, layered, lazy, small, free of one machine's traces."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from livepapers.papers import catalogue

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "livepapers"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

CODE_BEARING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
READ_SAFELY = {"src/livepapers/tasks/stories.py", "src/livepapers/tasks/r_frames.py"}
"""Packages ship data as pickles; unpicklers that admit nothing but sets, or stand-ins, read them; tests attack them."""
DANGEROUS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "torch.load",
    "torch.save",
    "yaml.load",
    "yaml.unsafe_load",
    "os.system",
}
PICKLING = {"numpy.load", "np.load", "pd.read_pickle", "pandas.read_pickle"}
GLOBAL_SEEDS = {"torch.manual_seed", "torch.seed", "np.random.seed", "numpy.random.seed", "random.seed"}
MOST_LINES, MOST_FUNCTION_LINES = 600, 80
MOST_BYTES = 1_000_000
LARGER = {"src/livepapers/web/vectors/words.safetensors": 4_500_000}
"""Word vectors: they change with their source only, so history keeps one copy."""


def nodes(kind: type) -> Iterator[tuple[str, ast.AST]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_nothing_that_reads_code_from_files_is_imported():
    found = []
    for place, node in nodes(ast.Import):
        assert isinstance(node, ast.Import)
        found += [place for alias in node.names if alias.name.partition(".")[0] in CODE_BEARING]
    for place, node in nodes(ast.ImportFrom):
        assert isinstance(node, ast.ImportFrom)
        found += [place for _ in [0] if (node.module or "").partition(".")[0] in CODE_BEARING]
    assert {place.partition(":")[0] for place in found} == READ_SAFELY


def test_nothing_evaluates_text_or_unpickles():
    found = []
    for place, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        name = dotted(node.func)
        if name in DANGEROUS or (name in PICKLING and not _refuses_pickle(node)):
            found.append(f"{place} {name}")
    assert not found


def _refuses_pickle(call: ast.Call) -> bool:
    return any(word.arg == "allow_pickle" and getattr(word.value, "value", None) is False for word in call.keywords)


def test_no_subprocess_uses_a_shell():
    found = []
    for place, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        found += [
            place for word in node.keywords if word.arg == "shell" and getattr(word.value, "value", None) is not False
        ]
    assert not found


def test_no_error_is_swallowed():
    found = []
    for place, node in nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        broad = node.type is None or dotted(node.type) in {"Exception", "BaseException"}
        if broad and all(isinstance(line, ast.Pass) for line in node.body):
            found.append(place)
    assert not found


def test_no_global_seed_is_touched():
    found = []
    for place, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        if (
            dotted(node.func) in GLOBAL_SEEDS and "battery/randomness.py" not in place
        ):  # it checks that they do not matter
            found.append(place)
    assert not found


def test_files_and_functions_stay_small():
    long = [str(path.relative_to(ROOT)) for path in SOURCES if len(path.read_text().splitlines()) > MOST_LINES]
    for kind in (ast.FunctionDef, ast.AsyncFunctionDef):
        for place, node in nodes(kind):
            assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            lines = (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node)
            if lines > MOST_FUNCTION_LINES:
                long.append(f"{place} {node.name}: {lines} lines")
    assert not long


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return len((ast.get_docstring(node, clean=False) or "").splitlines())


def test_imports_go_down_only():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_blocks_hold_only_what_two_methods_import():
    texts = {path.stem: path.read_text() for path in (PACKAGE / "blocks").glob("[a-z]*.py")}
    users: dict[str, set[str]] = {block: set() for block in texts}
    for path in (PACKAGE / "methods").rglob("*.py"):
        method = path.relative_to(PACKAGE / "methods").parts[0].removesuffix(".py")
        for block in imported_blocks(path.read_text()) & users.keys():
            users[block].add(method)
    for block, text in texts.items():  # a block may come before the methods that its docstring names, not after them
        named = re.search(r"^Planned for: ([a-z0-9, -]+)\.$", text, re.MULTILINE)
        waiting = set(named[1].split(", ") if named else ())
        assert waiting <= catalogue.load().keys(), block
        assert not {slug for slug in waiting if catalogue.method_module(slug)}, f"{block} waits for what is there"
        users[block] |= {catalogue.module_name(slug) for slug in waiting}
    for _ in texts:  # who imports a block uses those that it is made of
        for block, text in texts.items():
            for part in imported_blocks(text) & users.keys():
                users[part] |= users[block]
    assert not {block: methods for block, methods in users.items() if len(methods) < 2}


def imported_blocks(text: str) -> set[str]:
    inside = re.findall(r"from livepapers\.blocks import (.+)", text)
    return {*re.findall(r"livepapers\.blocks\.(\w+)", text), *re.findall(r"\w+", " ".join(inside))}


@pytest.mark.parametrize("layer", ["methods", "studies"])
def test_every_file_of_a_layer_belongs_to_a_card(layer: str):
    modules = {path.stem for path in (PACKAGE / layer).iterdir() if not path.name.startswith("_")}
    assert modules <= {catalogue.module_name(slug) for slug in catalogue.load()}


@pytest.mark.parametrize("slug", [slug for slug in catalogue.load() if catalogue.method_module(slug)])
def test_every_method_has_study_oracles_and_tests(slug: str):
    module = catalogue.module_name(slug)
    assert catalogue.study_module(slug)
    assert (PACKAGE / "battery" / "oracles" / f"{module}.py").is_file()
    for layer in ("methods", "studies"):
        assert list((ROOT / "tests" / layer).glob(f"**/*{module}*")), f"tests/{layer} holds nothing of {slug}"


def committed() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_on_somebody_s_machine():
    place = re.compile(rb"(?<![\w.~$}])/(?:root|home|work|Users)/\w|[A-Z]:\\\\?Users")
    found = []
    for path in committed():
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if place.search(line) and path != Path(__file__):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:80]!r}")
    assert not found


def test_no_large_or_generated_file_is_committed():
    for path in committed():
        assert path.stat().st_size <= LARGER.get(path.relative_to(ROOT).as_posix(), MOST_BYTES), path
        assert path.suffix not in {".pyc", ".pkl", ".pt", ".pth", ".sqlite3", ".whl"}, path


def test_every_dependency_is_imported_and_every_import_is_declared():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    distributions = {"scikit-learn": "sklearn", "pyyaml": "yaml", "beautifulsoup4": "bs4", "viennarna": "RNA"}
    named = [
        *project["dependencies"],
        *project["optional-dependencies"]["ray"],
        *project["optional-dependencies"]["export"],
        *project["optional-dependencies"]["parquet"],
        *project["optional-dependencies"]["postgresql"],
        *project["optional-dependencies"]["mujoco"],
        *project["optional-dependencies"]["atari"],
        *project["optional-dependencies"]["rna"],
        *project["optional-dependencies"]["rda"],
        *project["optional-dependencies"]["geo"],
        *project["optional-dependencies"]["molecules"],
    ]
    declared = {re.split(r"[<>=\[ ]", text)[0] for text in named}
    modules = {distributions.get(name, name).replace("-", "_") for name in declared}
    imported = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    outside = imported - set(sys.stdlib_module_names) - {"livepapers"}
    assert outside - modules == set(), "imported, not declared"
    assert modules - outside == {"python_multipart"}, "declared, not imported"  # Starlette reads forms with it
