//! The figure: what the workload cost so far, and each statement's ratio to stock. Colours follow the reader's light or
//! dark setting.

use super::payback::Point;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 400.0;
/// Left, top, width and height of the two drawings.
const CURVE: Frame = Frame {
    left: 64.0,
    top: 56.0,
    width: 376.0,
    height: 272.0,
};
const BARS: Frame = Frame { left: 544.0, ..CURVE };

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#3b4252}.title{font-size:15px;font-weight:600}.axis{stroke:#9aa3b2;stroke-width:1}\
.grid{stroke:#9aa3b2;stroke-width:.5;stroke-dasharray:2 4}.stock{stroke:#7b8494;fill:none;stroke-width:2}\
.learned{stroke:#2f7f86;fill:none;stroke-width:2.5}.trials{fill:#c98a3a;fill-opacity:.35}.faster{fill:#2f7f86}\
.slower{fill:#b5533c}.oracle{stroke:#3b4252;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#d5dae3}.stock{stroke:#a3acbb}.learned{stroke:#5fb3b9}.faster{fill:#5fb3b9}\
.slower{fill:#dd8268}.oracle{stroke:#e5e9f0}}";

#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn right(self) -> f64 {
        self.left + self.width
    }

    fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// A statement: learned over stock, oracle over stock.
pub(super) struct Bar {
    pub(super) ratio: f64,
    pub(super) oracle: f64,
}

/// Draws both.
pub(super) fn draw(title: &str, curve: &[Point], bars: Vec<Bar>) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\">\n\
         <style>{STYLE}</style>\n{1}{2}</svg>\n",
        escaped(&format!("{title}: learned against stock")),
        draw_curve(title, curve),
        draw_bars(bars)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn text(svg: &mut String, x: f64, y: f64, attributes: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>",
        escaped(words)
    );
}

fn line(svg: &mut String, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

/// A round number so that some three to six of it fill the range.
fn step(range: f64) -> f64 {
    let power = 10f64.powf((range / 5.0).max(1e-9).log10().floor());
    let rounds = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    rounds
        .into_iter()
        .find(|step| range / step <= 6.0)
        .unwrap_or(range)
}

fn draw_curve(title: &str, curve: &[Point]) -> String {
    let mut svg = String::new();
    text(&mut svg, CURVE.left - 40.0, 24.0, "class=\"title\"", title);
    text(
        &mut svg,
        CURVE.left - 40.0,
        44.0,
        "",
        "seconds spent so far, by repetition of the workload",
    );
    let most_s = curve
        .iter()
        .map(|point| point.stock_ms.max(point.spent_ms()) / 1000.0)
        .fold(1e-3, f64::max);
    let count = curve.len().max(1) as f64;
    let x = |repetition: usize| CURVE.left + CURVE.width * repetition as f64 / count;
    let y = |ms: f64| CURVE.bottom() - CURVE.height * ms / 1000.0 / most_s;
    let every_s = step(most_s);
    for number in 0..=(most_s / every_s) as usize {
        let seconds = number as f64 * every_s;
        let height = y(seconds * 1000.0);
        line(&mut svg, "grid", [CURVE.left, height, CURVE.right(), height]);
        let label = if every_s < 1.0 {
            format!("{seconds:.1}")
        } else {
            format!("{seconds:.0}")
        };
        text(
            &mut svg,
            CURVE.left - 8.0,
            height + 4.0,
            "text-anchor=\"end\"",
            &label,
        );
    }
    line(
        &mut svg,
        "axis",
        [CURVE.left, CURVE.bottom(), CURVE.right(), CURVE.bottom()],
    );
    let every = (count / 8.0).ceil() as usize;
    for repetition in (0..=curve.len()).step_by(every.max(1)) {
        text(
            &mut svg,
            x(repetition),
            CURVE.bottom() + 18.0,
            "text-anchor=\"middle\"",
            &repetition.to_string(),
        );
    }
    let path = |value: &dyn Fn(&Point) -> f64| {
        let points = curve
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.repetition), y(value(point))));
        let begin = format!("{:.1},{:.1}", x(0), y(0.0));
        std::iter::once(begin).chain(points).collect::<Vec<_>>()
    };
    let (stock, spent, executions) = (
        path(&|point| point.stock_ms),
        path(&Point::spent_ms),
        path(&|point| point.learned_ms),
    );
    let area: Vec<String> = spent
        .iter()
        .cloned()
        .chain(executions.into_iter().rev())
        .collect();
    let _ = writeln!(
        svg,
        "<polygon class=\"trials\" points=\"{}\"/>\n<polyline class=\"stock\" points=\"{}\"/>\n<polyline class=\"learned\" points=\"{}\"/>",
        area.join(" "),
        stock.join(" "),
        spent.join(" ")
    );
    let keys = [("stock", "stock"), ("learned", "learned, with trials (shaded)")];
    let mut left = CURVE.left;
    for (class, words) in keys {
        line(&mut svg, class, [left, HEIGHT - 20.0, left + 24.0, HEIGHT - 20.0]);
        text(&mut svg, left + 32.0, HEIGHT - 16.0, "", words);
        left += 96.0;
    }
    svg
}

fn draw_bars(mut bars: Vec<Bar>) -> String {
    bars.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    let mut svg = String::new();
    text(
        &mut svg,
        BARS.left - 40.0,
        44.0,
        "",
        &format!("learned / stock of {} statements, log scale", bars.len()),
    );
    let values = || bars.iter().flat_map(|bar| [bar.ratio, bar.oracle]);
    let least = values().fold(0.5, f64::min).max(1e-4);
    let most = values().fold(2.0, f64::max).min(1e4);
    let y = |ratio: f64| {
        let share = (ratio.clamp(least, most) / least).ln() / (most / least).ln();
        BARS.bottom() - BARS.height * share
    };
    for (ratio, label) in [
        (0.001, "1/1000"),
        (0.01, "1/100"),
        (0.1, "1/10"),
        (0.5, "1/2"),
        (1.0, "1"),
        (2.0, "2"),
        (10.0, "10"),
        (100.0, "100"),
    ] {
        if (least..=most).contains(&ratio) {
            let class = if ratio == 1.0 { "axis" } else { "grid" };
            line(&mut svg, class, [BARS.left, y(ratio), BARS.right(), y(ratio)]);
            text(
                &mut svg,
                BARS.left - 8.0,
                y(ratio) + 4.0,
                "text-anchor=\"end\"",
                label,
            );
        }
    }
    let pitch = BARS.width / bars.len().max(1) as f64;
    for (at, bar) in bars.iter().enumerate() {
        let left = BARS.left + pitch * (at as f64 + 0.1);
        let width = 0.8 * pitch;
        let (top, bottom) = (y(bar.ratio.max(1.0)), y(bar.ratio.min(1.0)));
        let class = if bar.ratio > 1.0 { "slower" } else { "faster" };
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
            (bottom - top).max(0.5)
        );
        line(
            &mut svg,
            "oracle",
            [left, y(bar.oracle), left + width, y(bar.oracle)],
        );
    }
    line(
        &mut svg,
        "oracle",
        [BARS.left, HEIGHT - 20.0, BARS.left + 24.0, HEIGHT - 20.0],
    );
    text(
        &mut svg,
        BARS.left + 32.0,
        HEIGHT - 16.0,
        "",
        "fastest plan known; bars below 1 are faster than stock",
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::payback::{Repetition, curve};

    fn sample(statements: usize) -> String {
        let repetitions =
            [(110.0, 300.0), (80.0, 100.0), (60.0, 0.0)].map(|(learned_ms, trials_ms)| Repetition {
                stock_ms: 100.0,
                learned_ms,
                trials_ms,
            });
        let bars = (0..statements).map(|at| Bar {
            ratio: 0.01 * (at as f64 + 1.0).powi(2),
            oracle: 0.01 * (at as f64 + 1.0),
        });
        draw("a < b & \"c\"", &curve(&repetitions), bars.collect())
    }

    #[test]
    fn the_figure_is_well_formed() {
        for statements in [0, 1, 20] {
            let svg = sample(statements);
            let read = roxmltree::Document::parse(&svg).expect("well formed");
            let bars = read
                .descendants()
                .filter(|node| node.has_tag_name("rect"))
                .count();
            assert_eq!(bars, statements);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let empty = draw("nothing", &[], Vec::new());
        assert!(roxmltree::Document::parse(&empty).is_ok() && !empty.contains("NaN"));
    }

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!(step(0.78), 0.2);
        assert_eq!(step(23.0), 5.0);
        assert_eq!(step(600.0), 100.0);
    }
}
