//! Drawings of a graph: Graphviz (dot), Mermaid, JSON, text and SVG, with a weight and notes per operator if there are
//! any. Edges point the way the data goes, the result is on top.

mod layout;
mod svg;

use super::{OperatorNode, QueryDag};
use crate::OperatorId;
use std::fmt::Write;

/// What a graph is drawn with.
#[derive(Debug, Clone)]
pub struct Drawing<'d> {
    dag: &'d QueryDag,
    weights: Option<&'d [f64]>,
    notes: &'d [String],
}

impl<'d> Drawing<'d> {
    /// The bare graph.
    pub fn new(dag: &'d QueryDag) -> Self {
        Self {
            dag,
            weights: None,
            notes: &[],
        }
    }

    /// With a weight per operator, in [0, 1] and in the order of [`QueryDag::nodes`]: shown as a colour and a number.
    pub fn with_weights(self, weights: &'d [f64]) -> Self {
        Self {
            weights: Some(weights),
            ..self
        }
    }

    /// With a line of text per operator, in the order of [`QueryDag::nodes`].
    pub fn with_notes(self, notes: &'d [String]) -> Self {
        Self { notes, ..self }
    }

    /// In Graphviz's language.
    pub fn dot(&self) -> String {
        let mut text =
            "digraph plan {\n  rankdir=BT;\n  node [shape=box, style=filled, fillcolor=white];\n".to_owned();
        for (position, node) in self.dag.nodes().enumerate() {
            let lines: Vec<String> = self.lines(position, node);
            let label = lines
                .iter()
                .map(|line| line.replace('\\', "\\\\").replace('"', "\\\""))
                .collect::<Vec<_>>()
                .join("\\n");
            let colour = self
                .colour(position)
                .map_or(String::new(), |colour| format!(", fillcolor=\"{colour}\""));
            let _ = writeln!(text, "  n{} [label=\"{label}\"{colour}];", node.id);
        }
        for (from, to) in self.dag.edges() {
            let _ = writeln!(text, "  n{from} -> n{to};");
        }
        text + "}\n"
    }

    /// As a Mermaid flowchart.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart BT\n".to_owned();
        for (position, node) in self.dag.nodes().enumerate() {
            // Mermaid reads labels as markup and writes characters as entities, without the ampersand.
            let label = self
                .lines(position, node)
                .join("\n")
                .replace('#', "#35;")
                .replace('"', "#quot;")
                .replace('<', "#lt;")
                .replace('\n', "<br>");
            let _ = writeln!(text, "  n{}[\"{label}\"]", node.id);
        }
        for (from, to) in self.dag.edges() {
            let _ = writeln!(text, "  n{from} --> n{to}");
        }
        for (position, node) in self.dag.nodes().enumerate() {
            if let Some(colour) = self.colour(position) {
                let _ = writeln!(text, "  style n{} fill:{colour},color:#000", node.id);
            }
        }
        text
    }

    /// As JSON: `{"operators": [{"id", "label", "weight", "note"}], "edges": [[from, to]]}`.
    pub fn json(&self) -> String {
        let operators: Vec<serde_json::Value> = self
            .dag
            .nodes()
            .enumerate()
            .map(|(position, node)| {
                serde_json::json!({
                    "id": node.id.0,
                    "label": label(node),
                    "weight": self.weight(position),
                    "note": self.notes.get(position),
                })
            })
            .collect();
        let edges: Vec<[u32; 2]> = self.dag.edges().map(|(from, to)| [from.0, to.0]).collect();
        serde_json::json!({ "operators": operators, "edges": edges }).to_string()
    }

    /// As text, a line per operator under its consumer, with a bar for its weight. A shared operator's inputs are shown
    /// once.
    pub fn ascii(&self) -> String {
        let mut text = String::new();
        let mut seen = vec![false; self.dag.len()];
        let mut open: Vec<(OperatorId, usize)> = self.dag.sinks().map(|sink| (sink, 0)).collect();
        open.reverse();
        while let Some((id, depth)) = open.pop() {
            let Ok(position) = self.dag.position(id) else {
                continue;
            };
            let node = self.dag.node_at(position);
            let again = std::mem::replace(&mut seen[position], true);
            let bar = self.weight(position).map_or(String::new(), |weight| {
                format!(
                    "{weight:5.3} {:<10} ",
                    "#".repeat((weight * 10.0).round() as usize)
                )
            });
            let arrow = if depth == 0 { "" } else { "-> " };
            let note = self
                .notes
                .get(position)
                .filter(|note| !note.is_empty())
                .map_or(String::new(), |note| format!("  ({note})"));
            let more = if again { "  (shared, see above)" } else { "" };
            let _ = writeln!(
                text,
                "{bar}{}{arrow}{}{note}{more}",
                "  ".repeat(depth),
                label(node)
            );
            if !again {
                let first = open.len();
                open.extend(self.dag.inputs(id).map(|input| (input, depth + 1)));
                open[first..].reverse();
            }
        }
        text
    }

    /// As a picture.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    fn weight(&self, position: usize) -> Option<f64> {
        self.weights?
            .get(position)
            .map(|&weight| if weight > 0.0 { weight.min(1.0) } else { 0.0 })
    }

    /// The largest weight has the strongest colour, so that small differences show in large plans.
    fn colour(&self, position: usize) -> Option<String> {
        let weight = self.weight(position)?;
        let most = (0..self.dag.len())
            .filter_map(|at| self.weight(at))
            .fold(0.0, f64::max);
        let strength = if most > 0.0 { weight / most } else { 0.0 };
        // From white to an orange on which black text is read well.
        let channel = |end: f64| (255.0 + (end - 255.0) * strength).round() as u8;
        Some(format!("#{:02x}{:02x}{:02x}", 255, channel(140.0), channel(60.0)))
    }

    /// What is written on an operator: its label, its weight and its note.
    fn lines(&self, position: usize, node: &OperatorNode) -> Vec<String> {
        let weight = self.weight(position).map(|weight| format!("weight {weight:.3}"));
        let note = self.notes.get(position).filter(|note| !note.is_empty()).cloned();
        [Some(label(node)), weight, note.map(|note| clean(&note))]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl QueryDag {
    /// The graph in Graphviz's language; see [`Drawing`] for other forms.
    pub fn to_dot(&self) -> String {
        Drawing::new(self).dot()
    }

    /// The graph as a Mermaid flowchart.
    pub fn to_mermaid(&self) -> String {
        Drawing::new(self).mermaid()
    }
}

/// What it is and what it reads, on one line.
fn label(node: &OperatorNode) -> String {
    let mut label = node.operator_type.name().to_owned();
    if let Some(kind) = node.join_type.as_ref().filter(|kind| *kind != "Inner") {
        let _ = write!(label, " ({kind})");
    }
    if let Some(index) = &node.index {
        let _ = write!(label, " using {index}");
    }
    if let Some(relation) = &node.relation {
        let _ = write!(label, " on {relation}");
    }
    clean(&label)
}

fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}
