//! Suggestions for the arguments of a prompt and of the resource templates.

use crate::Everything;
use crate::exports::stockade::agent::completion::{Guest, Reference, Suggestions};
use crate::failure::KINDS;
use crate::resources::{PAGED, TEMPLATES};
use crate::stockade::agent::types::Error;

/// More ids than the host passes on, so that its limit shows.
const IDS: u32 = 1_000;

const CITIES: &[&str] = &["paris", "park city", "parma", "testaccio", "texel"];

impl Guest for Everything {
    fn complete(
        of: Reference,
        argument: String,
        value: String,
        known: Vec<(String, String)>,
    ) -> Result<Suggestions, Error> {
        let all = match &of {
            Reference::Prompt(name) => for_prompt(name, &argument, &known)?,
            Reference::Template(template) => for_template(template, &argument)?,
        };
        let values: Vec<String> = all.into_iter().filter(|candidate| candidate.starts_with(&value)).collect();
        let total = u32::try_from(values.len()).ok();
        Ok(Suggestions { values, total })
    }
}

fn for_prompt(name: &str, argument: &str, known: &[(String, String)]) -> Result<Vec<String>, Error> {
    match (name, argument) {
        ("test_prompt_with_arguments", "arg1") => Ok(CITIES.iter().map(|city| city.to_string()).collect()),
        // What suits the second argument depends on the first.
        ("test_prompt_with_arguments", "arg2") => {
            let first = known.iter().find(|(key, _)| key == "arg1").map_or("arg1", |(_, value)| value);
            Ok(vec![format!("{first} by day"), format!("{first} by night")])
        }
        ("test_prompt_with_arguments", other) => {
            Err(Error::InvalidInput(format!("no argument {other}; there are arg1 and arg2")))
        }
        (other, _) => Err(Error::NotFound(format!("no completion for prompt {other}; try test_prompt_with_arguments"))),
    }
}

fn for_template(template: &str, argument: &str) -> Result<Vec<String>, Error> {
    let Some(found) = TEMPLATES.iter().find(|known| known.uri_template == template) else {
        return Err(Error::NotFound(format!("no template {template}; see resources/templates/list")));
    };
    if argument != found.variable {
        return Err(Error::InvalidInput(format!("no variable {argument}; there is {}", found.variable)));
    }
    Ok(match argument {
        "id" => (0..IDS).map(|id| id.to_string()).collect(),
        "bytes" => ["1024", "65536", "1048576", "1073741824"].map(String::from).into(),
        "number" => (1..=PAGED).map(|number| number.to_string()).collect(),
        _ => KINDS.map(String::from).into(),
    })
}
