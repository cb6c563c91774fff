//! Drawings of a graph as text for Graphviz (dot) and Mermaid. Edges point the way the data goes.

use super::{OperatorNode, QueryDag};
use std::fmt::Write;

impl QueryDag {
    /// The graph in Graphviz's language.
    pub fn to_dot(&self) -> String {
        let mut text = "digraph plan {\n  rankdir=BT;\n  node [shape=box];\n".to_owned();
        for node in self.nodes() {
            let label = label(node).replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "  n{} [label=\"{label}\"];", node.id);
        }
        for (from, to) in self.edges() {
            let _ = writeln!(text, "  n{from} -> n{to};");
        }
        text + "}\n"
    }

    /// The graph as a Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        let mut text = "flowchart BT\n".to_owned();
        for node in self.nodes() {
            // Mermaid reads labels as markup and writes characters as entities, without the ampersand.
            let label = label(node)
                .replace('#', "#35;")
                .replace('"', "#quot;")
                .replace('<', "#lt;");
            let _ = writeln!(text, "  n{}[\"{label}\"]", node.id);
        }
        for (from, to) in self.edges() {
            let _ = writeln!(text, "  n{from} --> n{to}");
        }
        text
    }
}

/// What it is and what it reads, on one line.
fn label(node: &OperatorNode) -> String {
    let mut label = node.operator_type.name().to_owned();
    if let Some(index) = &node.index {
        let _ = write!(label, " using {index}");
    }
    if let Some(relation) = &node.relation {
        let _ = write!(label, " on {relation}");
    }
    label.replace(char::is_control, " ")
}
