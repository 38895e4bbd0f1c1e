"""Networks for graph tools: networkx, GraphML and GEXF, byte for byte the same for the same network."""

import io
import re
from typing import Any

import networkx as nx

from livepapers.methods.debatenet.networks import OneMode, TwoMode

_DATE = re.compile(r' lastmodifieddate="[^"]*"')
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def to_networkx(network: OneMode | TwoMode) -> nx.Graph:
    """Nodes by label with their group; ties with their weight and, in one-mode networks, the three raw layers."""
    graph = nx.Graph()
    if isinstance(network, TwoMode):
        concepts = _concept_ids(network)
        graph.add_nodes_from(
            (name, {"mode": "actor", "group": g}) for name, g in zip(network.actors, network.groups, strict=True)
        )
        graph.add_nodes_from((made, {"mode": "concept", "label": name}) for name, made in concepts.items())
        frame = network.to_frame()
        frame["concept"] = [concepts[name] for name in frame["concept"]]
        ends = "actor", "concept"
    else:
        graph.add_nodes_from(_nodes(network))
        frame = network.to_frame()
        ends = "a", "b"
    attributes = [column for column in frame.columns if column not in ends]
    columns = [frame[name].tolist() for name in attributes]
    for a, b, *values in zip(frame[ends[0]].tolist(), frame[ends[1]].tolist(), *columns, strict=True):
        graph.add_edge(a, b, **dict(zip(attributes, values, strict=True)))
    return graph


def multiplex(network: OneMode) -> nx.MultiGraph:
    """One tie for each layer that two nodes share: key and attribute `layer` support, reject or conflict."""
    graph = nx.MultiGraph()
    graph.add_nodes_from(_nodes(network))
    frame = network.to_frame()
    for layer in network.layers:
        some = frame[frame[layer] != 0]
        for a, b, weight in zip(some["a"].tolist(), some["b"].tolist(), some[layer].tolist(), strict=True):
            graph.add_edge(a, b, key=layer, layer=layer, weight=weight)
    return graph


def to_graphml(network: OneMode | TwoMode) -> bytes:
    """A GraphML document."""
    text = io.BytesIO()
    nx.write_graphml_xml(_printable(to_networkx(network)), text)
    return text.getvalue()


def to_gexf(network: OneMode | TwoMode) -> bytes:
    """A GEXF document without the date of its writing."""
    text = io.BytesIO()
    nx.write_gexf(_printable(to_networkx(network)), text)
    return _DATE.sub("", text.getvalue().decode()).encode()


def _nodes(network: OneMode) -> list[tuple[str, dict[str, Any]]]:
    named = zip(network.nodes, network.groups, network.degree.tolist(), network.counts.total.tolist(), strict=True)
    return [(name, {"group": group, "ties": ties, "statements": total}) for name, group, ties, total in named]


def _concept_ids(network: TwoMode) -> dict[str, str]:
    """Concept -> node: its label, or the label with a mark where an actor has the same name."""
    actors = set(network.actors)
    return {name: f"{name} (concept)" if name in actors else name for name in network.concepts}


def _printable(graph: nx.Graph) -> nx.Graph:
    """Without the characters that no XML document may hold."""
    for _, values in graph.nodes(data=True):
        for name, value in values.items():
            values[name] = _NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value
    return nx.relabel_nodes(graph, {node: _NOT_XML.sub("\ufffd", str(node)) for node in graph})
