from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from livepapers import samples
from livepapers.core import artifact, checkpoint
from livepapers.core.errors import CorruptFileError, Diverged, InputError
from livepapers.methods.hdpo import HindsightPolicyOptimization, apply

NETWORK = """
unmet: lost
nodes:
  - {name: depot, kind: warehouse, holding: 0.3}
  - {name: a, kind: store, holding: 1.0, shortage: 9.0}
  - {name: b, kind: store, holding: 0.8, shortage: 7.0}
edges:
  - {source: supplier, target: depot, lead_time: 2}
  - {source: depot, target: a, lead_time: 1}
  - {source: depot, target: b, lead_time: 2}
"""


def demand_text(periods: int = 60) -> str:
    rows = [f"{week},{4 + week % 3},{9 + week % 5}" for week in range(periods)]
    return "period,a,b\n" + "\n".join(rows) + "\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    network, demand = tmp_path / "net.yml", tmp_path / "sales.csv"
    network.write_text(NETWORK)
    demand.write_text(demand_text())
    return network, demand


@pytest.mark.parametrize("policy", ["gnn", "mlp", "base-stock", "capped-base-stock", "echelon"])
def test_every_policy_gives_a_backtest_costs_by_node_and_orders(policy, files, tmp_path: Path):
    done = apply(*files, policy=policy, updates=3, output=tmp_path / "out")
    assert policy in done.headline
    rows = {row["policy"]: row for row in done.tables["Backtest on the held-out periods"]}
    assert {policy, "newsvendor levels", "rolling newsvendor", "base-stock"} <= rows.keys()
    by_node = [row for row in done.tables["By node"] if row["policy"] == policy]
    assert [row["node"] for row in by_node] == ["depot", "a", "b"]
    total = sum(float(row["cost a period"] or 0.0) for row in by_node)
    assert total == pytest.approx(rows[policy]["cost a period"], rel=1e-4)
    orders = done.tables["Orders now"]
    assert [(row["from"], row["to"]) for row in orders] == [("supplier", "depot"), ("depot", "a"), ("depot", "b")]
    assert all(float(row["order"] or 0.0) >= 0 for row in orders)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    assert not (tmp_path / "out.partial").exists()


def test_the_saved_policy_orders_what_apply_said(files, tmp_path: Path):
    state = tmp_path / "state.csv"
    state.write_text("node,arrives_in,quantity\ndepot,0,30\ndepot,1,12\na,0,4\nb,0,6\nb,1,3\n")
    done = apply(*files, policy="base-stock", updates=3, state=state, output=tmp_path / "out")
    policy = artifact.load_network(tmp_path / "out")
    from livepapers.tasks.demand import ClippedNormal
    from livepapers.tasks.inventory import InventoryNetwork, InventorySimulator

    simulator = InventorySimulator(InventoryNetwork.from_file(files[0]), ClippedNormal(5.0, 1.0, stores=2), horizon=1)
    today = simulator.start(torch.tensor([[[30.0, 12.0], [4.0, 0.0], [6.0, 3.0]]]))
    with torch.no_grad():
        orders = policy(today)[0].tolist()
    assert orders == pytest.approx([row["order"] for row in done.tables["Orders now"]], abs=1e-3)


def test_a_lead_time_as_long_as_the_default_dev_set_is_no_matter_when_the_data_are_longer(tmp_path: Path):
    network, demand = tmp_path / "net.yml", tmp_path / "sales.csv"
    network.write_text(NETWORK.replace("lead_time: 2}", "lead_time: 100}", 1))
    demand.write_text(demand_text(1100))
    done = apply(network, demand, policy="base-stock", updates=1)
    assert "base-stock" in done.headline


def test_one_store_is_compared_with_a_quantile_forecast():
    folder = samples.path("one_store.yml").parent
    done = apply(folder / "one_store.yml", folder / "one_store_demand.csv", policy="base-stock", updates=2)
    names = [row["policy"] for row in done.tables["Backtest on the held-out periods"]]
    assert "quantile newsvendor" in names
    assert done.output is None


def test_the_shipped_warehouse_sample_runs_and_says_why_a_rule_is_missing():
    folder = samples.path("one_store.yml").parent
    done = apply(folder / "warehouse_three_stores.yml", folder / "warehouse_three_stores_demand.csv", updates=1)
    assert any("two suppliers" in note for note in done.notes)
    assert "2016" in done.notes[0]


def test_same_seed_same_orders_and_another_seed_differs(files):
    first, second, other = (
        apply(*files, policy="mlp", updates=2, seed=seed).tables["Orders now"] for seed in (0, 0, 1)
    )
    assert first == second
    assert first != other


def test_an_interrupted_run_goes_on_where_it_was(files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = apply(*files, policy="mlp", updates=4)
    from livepapers.core import loop

    drive = loop.drive

    def stopped(learner, updates, **options):
        drive(learner, 2, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "drive", stopped)
    with pytest.raises(KeyboardInterrupt):
        apply(*files, policy="mlp", updates=4, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    kept = checkpoint.load_newest(tmp_path / "out.partial")
    assert kept is not None
    assert kept["step"] == 2
    monkeypatch.setattr(loop, "drive", drive)
    assert apply(*files, policy="mlp", updates=4, output=tmp_path / "out").tables == whole.tables


def test_going_on_with_other_updates_is_refused_in_one_line_that_says_how_to_go_on(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from livepapers.core import loop

    drive = loop.drive

    def stopped(learner, updates, **options):
        drive(learner, 2, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "drive", stopped)
    with pytest.raises(KeyboardInterrupt):
        apply(*files, policy="mlp", updates=4, output=tmp_path / "out")
    monkeypatch.setattr(loop, "drive", drive)
    kept = {path: path.read_bytes() for path in (tmp_path / "out.partial").iterdir()}
    for other in ({"updates": 5}, {"updates": 3}, {"updates": 4, "seed": 1}, {"updates": 4, "policy": "gnn"}):
        with pytest.raises(CorruptFileError) as caught:
            apply(*files, **({"policy": "mlp"} | other), output=tmp_path / "out")
        message = str(caught.value)
        assert "\n" not in message
        assert all(part in message for part in ("out.partial", "other work", "same options and files", "delete"))
    assert {path: path.read_bytes() for path in (tmp_path / "out.partial").iterdir()} == kept
    assert not (tmp_path / "out").exists()


def test_the_headline_compares_with_the_best_rule_and_says_so_when_it_wins(monkeypatch: pytest.MonkeyPatch):
    from types import SimpleNamespace

    from livepapers.methods.hdpo import application

    task = SimpleNamespace(
        network=SimpleNamespace(objective="cost"), table=SimpleNamespace(periods=range(100)), test_from=80, lead=2
    )
    costs = {"mlp": 10.0, "newsvendor levels": 12.0, "rolling newsvendor": 9.0}
    monkeypatch.setattr(application, "_cost", lambda _, name: costs[name])
    says = application._headline(task, "mlp", {name: name for name in costs})  # type: ignore[arg-type]
    assert says == "a rule wins (rolling newsvendor): cost 9 a period on 18 held-out periods, mlp 10, 11.1 % more"
    costs["mlp"] = 8.1
    says = application._headline(task, "mlp", {name: name for name in costs})  # type: ignore[arg-type]
    assert says == (
        "mlp: cost 8.1 a period on 18 held-out periods, 10.0 % less than the best of 2 rules (rolling newsvendor, 9)"
    )
    task.network.objective = "profit"
    costs.update({"mlp": -8.0, "rolling newsvendor": -10.0, "newsvendor levels": -1.0})
    says = application._headline(task, "mlp", {name: name for name in costs})  # type: ignore[arg-type]
    assert says.endswith("(rolling newsvendor): profit 10 a period on 18 held-out periods, mlp 8, 20.0 % less")


def test_rules_know_nothing_of_the_held_out_periods(files):
    from livepapers.methods.hdpo import training
    from livepapers.methods.hdpo.problem import read

    network, demand = files
    found = []
    for text in (demand_text(), demand_text()[: demand_text().index("\n48,")] + "".join(
        f"\n{week},99,99" for week in range(48, 60)
    )):  # fmt: skip
        demand.write_text(text)
        task = read(network, demand)
        assert task.test_from == 48
        rule = training.rules(task, "mlp", seed=0, updates=3)["base-stock"]
        found.append((task.newsvendor, task.newsvendor_levels.tolist(), rule.levels.tolist()))  # type: ignore[attr-defined]
    assert found[0] == found[1]


def test_names_with_commas_quotes_line_breaks_and_formulas_come_back_from_every_table(tmp_path: Path):
    import csv
    import json

    depot, shop, other = 'the "main", depot', "=1+1\nsecond line", "a,b"
    edges = [{"source": "supplier", "target": depot, "lead_time": 1}]
    edges += [{"source": depot, "target": name, "lead_time": 1} for name in (shop, other)]
    nodes = [{"name": depot, "kind": "warehouse", "holding": 0.3}]
    nodes += [{"name": name, "kind": "store", "holding": 1.0, "shortage": 9.0} for name in (shop, other)]
    network, demand, state = tmp_path / "net.json", tmp_path / "sales.csv", tmp_path / "state.csv"
    network.write_text(json.dumps({"nodes": nodes, "edges": edges, "unmet": "lost"}))
    with demand.open("w", newline="") as file:
        csv.writer(file).writerows([["period", shop, other], *([week, 4 + week % 3, 9] for week in range(60))])
    with state.open("w", newline="") as file:
        csv.writer(file).writerows([["node", "arrives_in", "quantity"], [shop, 0, 3], [depot, 0, 20]])
    done = apply(network, demand, policy="mlp", updates=1, state=state, output=tmp_path / "out")
    for file, title in (("orders.csv", "Orders now"), ("nodes.csv", "By node")):
        with (tmp_path / "out" / file).open(newline="") as opened:
            rows = list(csv.DictReader(opened))
        shown = [{key: "" if value is None else str(value) for key, value in row.items()} for row in done.tables[title]]
        assert rows == shown
    assert {row["to"] for row in done.tables["Orders now"]} == {depot, shop, other}


def test_a_checkpoint_of_other_data_is_refused(files, tmp_path: Path):
    from livepapers.methods.hdpo import application

    network, demand = files
    (tmp_path / "out.partial").mkdir()
    checkpoint.save_step(tmp_path / "out.partial", 1, {"step": 1, "fingerprint": "x", "learner": {}, "memory": None})
    with pytest.raises(CorruptFileError, match="other work"):
        application.apply(network, demand, policy="mlp", updates=2, output=tmp_path / "out")


def test_a_second_command_with_the_same_output_is_refused_before_it_trains(
    files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from livepapers.core import loop
    from livepapers.core.files import unfinished

    monkeypatch.setattr(loop, "drive", lambda *_, **__: pytest.fail("it trained"))
    with unfinished(tmp_path / "out"), pytest.raises(InputError, match=r"output: .*another process works on it"):
        apply(*files, policy="mlp", updates=2, output=tmp_path / "out")


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


BAD_NETWORKS = {
    "not yaml": (lambda _: "nodes: [", "valid YAML"),
    "empty": (lambda _: "", "empty"),
    "a list": (lambda _: "- 1\n- 2\n", "fields nodes"),
    "lead time 0": (swap("lead_time: 2", "lead_time: 0"), "lead_time"),
    "lead time too long for the data": (swap("lead_time: 2", "lead_time: 30"), "at least 310 periods"),
    "negative holding": (swap("holding: 0.3", "holding: -1"), "holding"),
    "zero shortage": (swap("shortage: 9.0", "shortage: 0"), "shortage"),
    "no shortage": (swap(", shortage: 9.0", ""), "shortage"),
    "unknown target": (swap("target: a", "target: c"), "misspelt"),
    "store without supplier": (swap("  - {source: depot, target: a, lead_time: 1}\n", ""), "no supplier"),
    "cycle": (
        lambda text: (
            text.replace("- {name: a,", "- {name: x, kind: warehouse, holding: 1.0}\n  - {name: a,")
            + "  - {source: x, target: depot, lead_time: 1}\n  - {source: depot, target: x, lead_time: 1}\n"
        ),
        "cycle",
    ),
    "half a period": (swap("lead_time: 2", "lead_time: 2.5"), "lead_time"),
    "a word for a number": (swap("lead_time: 2", "lead_time: two"), "lead_time"),
    "a number for a name": (swap("name: a,", "name: 5,"), "name"),
    "no name": (swap("name: a,", "name: '',"), "another name"),
    "huge cost": (swap("holding: 0.3", "holding: 1.0e+300"), "holding"),
    "code": (lambda _: "!!python/object/apply:os.system ['true']", "valid YAML"),
    "very deep": (lambda _: "[" * 5000, "valid YAML"),
    "unknown field": (swap("unmet: lost", "unmet: lost\ncolour: red"), "misspelt"),
    "nan": (swap("holding: 0.3", "holding: .nan"), "holding"),
}

BAD_DEMAND = {
    "missing column": (lambda text: text.replace("period,a,b", "week,a,b"), "expected this column"),
    "another store": (lambda text: text.replace("period,a,b", "period,a,c"), "store"),
    "nan": (swap("0,4,9", "0,nan,9"), "finite number"),
    "text": (swap("0,4,9", "0,four,9"), "finite number"),
    "negative with lost sales": (swap("0,4,9", "0,-4,9"), "quantity >= 0"),
    "huge": (swap("0,4,9", "0,4e30,9"), "too large"),
    "unsorted": (swap("0,4,9\n1,5,10\n", "1,5,10\n0,4,9\n"), "period"),
    "more cells than columns": (lambda text: text.replace("\n0,4,9", "\n0,1,004,9"), "more cells than the header"),
    "fewer cells than columns": (swap("0,4,9", "0,4"), "missing value"),
    "infinite": (swap("0,4,9", "0,inf,9"), "finite number"),
    "a thousands separator": (swap("0,4,9", '0,"1,000",9'), "finite number"),
    "semicolons": (lambda text: text.replace(",", ";"), "separated by semicolons"),
    "a column twice": (swap("period,a,b", "period,a,a"), "unique column names"),
    "an open quote": (swap("0,4,9", '0,"4,9'), "EOF inside string"),
    "an open quote in the header of a long file": (lambda text: '"' + text + "0,4,9\n" * 30_000, "CSV table"),
    "dates among numbers": (swap("\n5,", "\n2020-01-05,"), "whole number or YYYY-MM-DD"),
    "no such day": (lambda text: text.replace("\n0,", "\n2020-13-45,"), "whole number or YYYY-MM-DD"),
    "another file": (lambda _: NETWORK, "CSV table"),
    "a gap": (swap("1,5,10\n", ""), "period"),
    "twice": (swap("1,5,10\n", "1,5,10\n1,5,10\n"), "period"),
    "too short": (lambda _: demand_text(20), "at least 40 periods"),
    "empty": (lambda _: "", "content"),
    "header only": (lambda _: "period,a,b\n", "row"),
    "only zeros": (lambda _: "period,a,b\n" + "".join(f"{t},0,1\n" for t in range(60)), "only zeros"),
    "zeros while training": (
        lambda _: "period,a,b\n" + "".join(f"{t},{int(t > 40)},1\n" for t in range(60)), "only zeros at first"
    ),
}  # fmt: skip

BAD_STATES = {
    "unknown node": ("node,arrives_in,quantity\nc,0,1\n", "misspelt"),
    "the supplier": ("node,arrives_in,quantity\nsupplier,0,1\n", "has no stock"),
    "too late": ("node,arrives_in,quantity\na,1,1\n", "arrives_in"),
    "half a period": ("node,arrives_in,quantity\nb,0.5,1\n", "arrives_in"),
    "negative": ("node,arrives_in,quantity\na,0,-1\n", "backlog"),
    "twice": ("node,arrives_in,quantity\na,0,1\na,0,2\n", "again"),
    "missing column": ("node,quantity\na,1\n", "arrives_in"),
    "nan": ("node,arrives_in,quantity\na,0,nan\n", "finite number"),
    "huge": ("node,arrives_in,quantity\na,0,1e30\n", "too large"),
    "empty": ("", "content"),
    "header only": ("node,arrives_in,quantity\n", "row"),
}


def refused(call: Callable[[], object], expected: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert len(message) < 400
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", BAD_NETWORKS)
def test_bad_networks_get_one_line_and_write_nothing(name: str, files, tmp_path: Path):
    spoil, expected = BAD_NETWORKS[name]
    files[0].write_text(spoil(NETWORK))
    refused(lambda: apply(*files, updates=1, output=tmp_path / "out"), expected, tmp_path)


@pytest.mark.parametrize("name", BAD_DEMAND)
def test_bad_demand_gets_one_line_and_writes_nothing(name: str, files, tmp_path: Path):
    spoil, expected = BAD_DEMAND[name]
    files[1].write_text(spoil(demand_text()))
    refused(lambda: apply(*files, updates=1, output=tmp_path / "out"), expected, tmp_path)


@pytest.mark.parametrize("name", BAD_STATES)
def test_bad_stock_gets_one_line_and_writes_nothing(name: str, files, tmp_path: Path):
    text, expected = BAD_STATES[name]
    state = tmp_path / "state.csv"
    state.write_text(text)
    refused(lambda: apply(*files, updates=1, state=state, output=tmp_path / "out"), expected, tmp_path)


@pytest.mark.parametrize("name", ["missing column", "negative with lost sales", "empty", "more cells than columns"])
def test_the_command_line_prints_the_line_and_ends_with_status_2(name: str, files, tmp_path: Path, capfd):
    from livepapers.cli.main import main

    spoil, expected = BAD_DEMAND[name]
    files[1].write_text(spoil(demand_text()))
    arguments = [
        "apply",
        "hdpo",
        "--network",
        str(files[0]),
        "--demand",
        str(files[1]),
        "--output",
        str(tmp_path / "o"),
    ]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert expected in printed.err
    assert not (tmp_path / "o").exists()


def test_blank_lines_before_the_header_are_no_mistake(files):
    files[1].write_text("\n\n" + demand_text())
    assert apply(*files, policy="echelon", updates=1).headline


def test_binary_missing_and_bad_options_get_one_line(files, tmp_path: Path):
    network, demand = files
    out = tmp_path / "out"
    refused(lambda: apply(tmp_path / "none.yml", demand, output=out), "expected an existing file", tmp_path)
    refused(lambda: apply(network, tmp_path / "none.csv", output=out), "existing file", tmp_path)
    refused(lambda: apply(network, demand, updates=0, output=out), "updates", tmp_path)
    refused(lambda: apply(network, demand, seed=-1, output=out), "seed", tmp_path)
    refused(lambda: apply(network, demand, policy="sgd", output=out), "policy", tmp_path)  # type: ignore[arg-type]
    refused(lambda: apply(network, demand, output=network), "folder", tmp_path)
    demand.write_bytes(b"\x00\x01\x02" * 100)
    refused(lambda: apply(network, demand, output=out), "binary", tmp_path)
    network.write_bytes(b"\xff\xfe\x00" * 100)
    refused(lambda: apply(network, demand, output=out), "network", tmp_path)


def test_rules_that_do_not_fit_the_network_are_refused_before_any_work(files, tmp_path: Path):
    network, demand = files
    network.write_text(NETWORK + "  - {source: supplier, target: a, lead_time: 1, cost: 0.5}\n")
    for rule in ("base-stock", "echelon"):
        refused(lambda rule=rule: apply(network, demand, policy=rule, output=tmp_path / "out"), "2 suppliers", tmp_path)


@pytest.mark.parametrize("step", [1, 7])
def test_a_training_that_diverges_ends_with_its_best_weights_or_in_one_line(
    step: int, files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    network, demand = files
    update = HindsightPolicyOptimization.update
    taken = 0

    def diverging(learner: HindsightPolicyOptimization) -> dict[str, float]:
        nonlocal taken
        taken += 1
        if taken == step:
            if step == 1:  # nothing was checked before
                return {"loss": float("nan")}
            return {**update(learner), "loss": float("nan")}
        return update(learner)

    monkeypatch.setattr(HindsightPolicyOptimization, "update", diverging)
    if step == 1:
        with pytest.raises(Diverged, match=r"diverged at step 1: loss is nan"):
            apply(network, demand, policy="gnn", updates=10, output=tmp_path / "out")
        assert not (tmp_path / "out").exists()
    else:
        found = apply(network, demand, policy="gnn", updates=10)
        assert "diverged at step 7" in found.notes[0]
