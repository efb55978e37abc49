//! What was measured beside what was wanted: a table for people, or one line of JSON for a test.

use serde_json::{Map, Value};

use crate::process::Resident;

/// Figures in the order they were measured.
#[derive(Debug, Default)]
pub struct Figures(Vec<Figure>);

#[derive(Debug)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    target: Option<Target>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Figures {
    pub fn add(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.0.push(Figure { name, value, unit, target: None });
    }

    pub fn judge(&mut self, name: &'static str, value: f64, unit: &'static str, target: Target) {
        self.0.push(Figure { name, value, unit, target: Some(target) });
    }

    /// A value that was measured before.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    pub fn print(&self, title: &str) {
        println!("\n{title}\n{:<44}{:>14}  {:<16}", "", "measured", "target");
        for Figure { name, value, unit, target } in &self.0 {
            let measured = format!("{} {unit}", short(*value));
            let (wanted, met) = match target {
                None => (String::new(), ""),
                Some(Target::AtMost(most)) => (format!("<= {}", short(*most)), met(value <= most)),
                Some(Target::AtLeast(least)) => (format!(">= {}", short(*least)), met(value >= least)),
            };
            println!("{}", format!("{name:<44}{measured:>14}  {wanted:<16}{met}").trim_end());
        }
    }

    /// `{"name": value, ...}`
    pub fn to_json(&self) -> String {
        let members = self.0.iter().map(|figure| (figure.name.to_owned(), Value::from(figure.value)));
        Value::Object(members.collect::<Map<_, _>>()).to_string()
    }
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "NOT MET" }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// By how much resident memory grew, in bytes; negative when it shrank.
pub fn growth(before: Resident, after: Resident) -> f64 {
    after.bytes as f64 - before.bytes as f64
}

pub fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// The middle one; of an even number, the upper of the two; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
