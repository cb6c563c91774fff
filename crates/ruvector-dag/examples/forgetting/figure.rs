//! The figure: what is left of the first workload's gain after each workload, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 790.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 600.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 340.0;
/// The shares at the bottom and at the top.
const LOWEST: f64 = -0.4;
const HIGHEST: f64 = 1.1;

/// A line of the figure: one curve per seed, drawn thinly, and their mean.
pub(crate) struct Line {
    pub(crate) label: &'static str,
    pub(crate) color: &'static str,
    pub(crate) curves: Vec<Vec<f64>>,
}

impl Line {
    /// The mean of the curves.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let points = self.curves.first().map_or(0, Vec::len);
        let mean =
            |at: usize| self.curves.iter().map(|curve| curve[at]).sum::<f64>() / self.curves.len() as f64;
        (0..points).map(mean).collect()
    }
}

fn y(share: f64) -> f64 {
    BOTTOM - (share - LOWEST) / (HIGHEST - LOWEST) * (BOTTOM - TOP)
}

fn x(at: usize, points: usize) -> f64 {
    LEFT + 30.0 + at as f64 / (points - 1) as f64 * (RIGHT - LEFT - 60.0)
}

fn path(curve: &[f64]) -> String {
    let points = curve.iter().enumerate();
    let points: Vec<String> = points
        .map(|(at, &share)| format!("{:.1},{:.1}", x(at, curve.len()), y(share)))
        .collect();
    points.join(" ")
}

/// Draws it; `names` are those of the workloads.
pub(crate) fn draw(names: &[&str], lines: &[Line]) -> Result<String, std::fmt::Error> {
    let mut svg = String::new();
    writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" fill="#222">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<text x="{LEFT}" y="28" font-size="16" font-weight="bold">What is left of the gain on the first workload</text>
<text x="{LEFT}" y="46" fill="#666">share of the error that learning it removed; thin: one seed each, thick: their mean</text>"##
    )?;
    axes(&mut svg, names)?;
    for line in lines {
        draw_line(&mut svg, line)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn axes(svg: &mut String, names: &[&str]) -> std::fmt::Result {
    for percent in (-40..=100).step_by(20) {
        let y = y(f64::from(percent) / 100.0);
        let (color, dashes) = if percent == 80 {
            ("#222", "6 4")
        } else {
            ("#ddd", "none")
        };
        writeln!(
            svg,
            r#"<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1}" y2="{y:.1}" stroke="{color}" stroke-dasharray="{dashes}"/>
<text x="{}" y="{:.1}" text-anchor="end">{percent} %</text>"#,
            LEFT - 8.0,
            y + 4.5
        )?;
    }
    let threshold = y(0.8);
    writeln!(
        svg,
        r#"<text x="{}" y="{:.1}">asked for: 80 %</text>"#,
        RIGHT + 8.0,
        threshold + 4.5
    )?;
    for (at, name) in names.iter().enumerate() {
        let x = x(at, names.len());
        writeln!(
            svg,
            r#"<text x="{x:.1}" y="{}" text-anchor="middle">{name}</text>"#,
            BOTTOM + 22.0
        )?;
    }
    let middle = (LEFT + RIGHT) / 2.0;
    let below = BOTTOM + 50.0;
    writeln!(
        svg,
        r#"<text x="{middle}" y="{below}" text-anchor="middle">after learning, one workload after the other</text>"#
    )
}

fn draw_line(svg: &mut String, line: &Line) -> std::fmt::Result {
    let (color, mean) = (line.color, line.mean());
    for curve in &line.curves {
        let points = path(curve);
        writeln!(
            svg,
            r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-opacity="0.3"/>"#
        )?;
    }
    let points = path(&mean);
    writeln!(
        svg,
        r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-width="3"/>"#
    )?;
    for (at, &share) in mean.iter().enumerate() {
        let (x, y) = (x(at, mean.len()), y(share));
        writeln!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{color}"/>"#)?;
    }
    let last = mean.last().copied().unwrap_or_default();
    let (at, percent) = (y(last) + 4.5, 100.0 * last);
    let right = RIGHT + 8.0;
    writeln!(
        svg,
        r#"<text x="{right}" y="{at:.1}" fill="{color}" font-weight="bold">{} {percent:.0} %</text>"#,
        line.label
    )
}
