//! Memory over time as a picture.

use anyhow::Result;
use plotters::prelude::*;
use std::path::Path;
use std::time::Duration;

use super::MEMORY;
use super::samples::Sample;
use crate::load::figures::mib;

const SIZE: (u32, u32) = (1200, 560);

/// One line of the picture.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    of: fn(&Sample) -> u64,
}

const CURVES: [Curve; 4] = [
    Curve { name: "books", colour: RGBColor(40, 90, 200), of: |sample| sample.books },
    Curve { name: "measured", colour: RGBColor(200, 40, 40), of: |sample| sample.measured },
    Curve { name: "resident", colour: RGBColor(230, 150, 30), of: |sample| sample.resident },
    Curve { name: "lent to calls", colour: RGBColor(60, 150, 60), of: |sample| sample.lent },
];

/// Draws it as SVG. `marks` are moments with a name.
///
/// # Errors
///
/// When the file cannot be written.
pub fn draw(path: &Path, samples: &[Sample], marks: &[(&str, Duration)]) -> Result<()> {
    let end = samples.last().map_or(1.0, |last| last.at.as_secs_f64());
    let top = mib(MEMORY as f64) * 1.1;
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption("memory of the host, MiB", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart.configure_mesh().x_desc("seconds").y_desc("MiB").light_line_style(WHITE).draw()?;
    let limit = mib(MEMORY as f64);
    chart
        .draw_series(LineSeries::new([(0.0, limit), (end, limit)], BLACK.stroke_width(1)))?
        .label("limit")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.stroke_width(1)));
    for Curve { name, colour, of } in CURVES {
        let line = samples.iter().map(|sample| (sample.at.as_secs_f64(), mib(of(sample) as f64)));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(1)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    for (name, at) in marks {
        let at = at.as_secs_f64();
        chart.draw_series(LineSeries::new([(at, 0.0), (at, top)], BLACK.mix(0.4).stroke_width(1)))?;
        chart.draw_series([Text::new((*name).to_owned(), (at, top * 0.97), ("sans-serif", 14))])?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}
