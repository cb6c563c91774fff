//! A picture as SVG: a box per operator, coloured by weight, readable in light and dark viewers since it brings its paper.

use super::super::OperatorNode;
use super::layout::Layout;
use super::{Drawing, label};
use std::fmt::Write;

const BOX: (f64, f64) = (210.0, 62.0);
const GAP: (f64, f64) = (24.0, 44.0);
const MARGIN: f64 = 20.0;
const LEGEND: f64 = 30.0;
/// Characters of 12 px sans-serif that fit into a box.
const LINE: usize = 32;

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let layout = Layout::of(drawing.dag);
    let legend = if drawing.weights.is_some() { LEGEND } else { 0.0 };
    let width = 2.0 * MARGIN + layout.columns.max(1.0) * (BOX.0 + GAP.0) - GAP.0;
    let height = 2.0 * MARGIN + legend + layout.rows.max(1) as f64 * (BOX.1 + GAP.1) - GAP.1;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#555\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    edges(&mut text, drawing, &layout);
    for (position, node) in drawing.dag.nodes().enumerate() {
        let (left, top) = corner(layout.places[position]);
        let fill = drawing.colour(position).unwrap_or_else(|| "#fff".to_owned());
        let _ = writeln!(
            text,
            "<g><title>{}</title><rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{}\" height=\"{}\" rx=\"5\" \
             fill=\"{fill}\" stroke=\"#333\"/>",
            escaped(&label(node)),
            BOX.0,
            BOX.1
        );
        for (number, line) in lines(drawing, position, node).iter().enumerate() {
            let weight = if number == 0 { " font-weight=\"bold\"" } else { "" };
            let _ = writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#000\"{weight}>{}</text>",
                left + BOX.0 / 2.0,
                top + 19.0 + 17.0 * number as f64,
                escaped(&shortened(line))
            );
        }
        text += "</g>\n";
    }
    if drawing.weights.is_some() {
        let _ = writeln!(
            text,
            "<text x=\"{MARGIN}\" y=\"{:.1}\" fill=\"#333\">Colour: share of the attention, the strongest for the \
             operator with the most</text>",
            height - MARGIN
        );
    }
    text + "</svg>\n"
}

fn edges(text: &mut String, drawing: &Drawing<'_>, layout: &Layout) {
    for consumer in 0..drawing.dag.len() {
        let (to_left, to_top) = corner(layout.places[consumer]);
        for &input in drawing.dag.input_positions(consumer) {
            let (from_left, from_top) = corner(layout.places[input]);
            let (x, y) = (from_left + BOX.0 / 2.0, from_top);
            let (to_x, to_y) = (to_left + BOX.0 / 2.0, to_top + BOX.1);
            let middle = (y + to_y) / 2.0;
            let _ = writeln!(
                text,
                "<path d=\"M{x:.1} {y:.1}C{x:.1} {middle:.1} {to_x:.1} {middle:.1} {to_x:.1} {to_y:.1}\" \
                 fill=\"none\" stroke=\"#555\" marker-end=\"url(#arrow)\"/>"
            );
        }
    }
}

fn corner((column, row): (f64, usize)) -> (f64, f64) {
    (
        MARGIN + column * (BOX.0 + GAP.0),
        MARGIN + row as f64 * (BOX.1 + GAP.1),
    )
}

/// Operator, what it reads, weight or note.
fn lines(drawing: &Drawing<'_>, position: usize, node: &OperatorNode) -> Vec<String> {
    let mut what = node.operator_type.name().to_owned();
    if let Some(kind) = node.join_type.as_ref().filter(|kind| *kind != "Inner") {
        let _ = write!(what, " ({kind})");
    }
    let relation = node.relation.clone().or_else(|| node.index.clone());
    let reads = match (relation, &node.alias) {
        (Some(relation), Some(alias)) if *alias != relation => format!("{relation} {alias}"),
        (Some(relation), _) => relation,
        (None, _) => String::new(),
    };
    let weight = drawing
        .weight(position)
        .map(|weight| format!("weight {weight:.3}"));
    let note = drawing
        .notes
        .get(position)
        .filter(|note| !note.is_empty())
        .cloned();
    let last = [weight, note]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ");
    [what, reads, last]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect()
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= LINE {
        return line.to_owned();
    }
    line.chars().take(LINE - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace(char::is_control, " ")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
