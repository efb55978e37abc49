//! Tools that need an answer from the client before they can go on.
//!
//! Each asks by `input-required` and is called again with the answers. The host decides how the client is asked: in the
//! result (2026-07-28) or by a request of its own (before).

use super::{Entry, Outcome, parse, say};
use crate::question::{Elicited, Roots, Round, Sampled, form, sampling};
use crate::stockade::agent::types::{Error, InputRequest};

/// Tokens the client's model may spend on an answer.
const ANSWER_TOKENS_MAX: u32 = 100;

/// The state of a tool that only checks that its own state comes back.
const STATE: &str = "asked";

pub const TOOLS: &[Entry] = &[
    Entry::new("test_missing_capability", "Needs a client that can sample.", missing_capability),
    Entry::new("test_sampling", "Passes a prompt to the client's model.", test_sampling)
        .takes(include_str!("../schemas/sampling.json")),
    Entry::new("test_elicitation", "Asks the person for a name and an address.", test_elicitation)
        .takes(include_str!("../schemas/elicitation.json")),
    Entry::new("test_elicitation_sep1034_defaults", "Asks with a default in every field.", defaults),
    Entry::new("test_elicitation_sep1330_enums", "Asks with every form of choice.", enums),
    Entry::new("test_input_required_result_elicitation", "Asks for a name, and greets.", elicitation),
    Entry::new("test_input_required_result_sampling", "Asks the client's model for a capital.", capital),
    Entry::new("test_input_required_result_list_roots", "Asks for the client's directories.", list_roots),
    Entry::new("test_input_required_result_request_state", "Asks, and checks that its state comes back.", state),
    Entry::new("test_input_required_result_tampered_state", "Refuses a state that is not its own.", state),
    Entry::new("test_input_required_result_multiple_inputs", "Asks three things at once.", multiple_inputs),
    Entry::new("test_input_required_result_multi_round", "Asks twice, remembering the first answer.", multi_round),
    Entry::new("test_input_required_result_capabilities", "Asks only what the client can answer.", capabilities),
];

fn missing_capability(_: &str) -> Outcome {
    if !Round::current().declares("sampling") {
        return Err(Error::MissingCapability(vec!["sampling".into()]));
    }
    say("The client can sample.")
}

#[derive(serde::Deserialize)]
struct Prompted {
    prompt: String,
}

fn test_sampling(arguments: &str) -> Outcome {
    let Prompted { prompt } = parse(arguments)?;
    let round = Round::current();
    match round.answer::<Sampled>("response") {
        Some(sampled) => say(format!("LLM response: {}", sampled.text())),
        None => Err(round.ask(vec![("response", sampling(&prompt, ANSWER_TOKENS_MAX))], None)),
    }
}

#[derive(serde::Deserialize)]
struct Worded {
    message: String,
}

fn test_elicitation(arguments: &str) -> Outcome {
    let Worded { message } = parse(arguments)?;
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../schemas/contact-form.json")).expect("the form is JSON");
    let question = serde_json::json!({ "message": message, "requestedSchema": schema }).to_string();
    elicit(question, "User response")
}

fn defaults(_: &str) -> Outcome {
    elicit(include_str!("../schemas/defaults-question.json").into(), "Elicitation completed")
}

fn enums(_: &str) -> Outcome {
    elicit(include_str!("../schemas/enums-question.json").into(), "Elicitation completed")
}

/// Asks one form and reports whatever the person did with it.
fn elicit(question: String, heading: &str) -> Outcome {
    let round = Round::current();
    match round.answer::<Elicited>("response") {
        Some(elicited) => say(format!("{heading}: {}", elicited.summary())),
        None => Err(round.ask(vec![("response", InputRequest::Elicitation(question))], None)),
    }
}

fn elicitation(_: &str) -> Outcome {
    let round = Round::current();
    match round.field("user_name", "name") {
        Some(name) => say(format!("Hello, {name}!")),
        None => Err(round.ask(vec![("user_name", form("What is your name?", "name", "string"))], None)),
    }
}

fn capital(_: &str) -> Outcome {
    let round = Round::current();
    match round.answer::<Sampled>("capital_question") {
        Some(sampled) => say(sampled.text()),
        None => {
            let question = sampling("What is the capital of France?", ANSWER_TOKENS_MAX);
            Err(round.ask(vec![("capital_question", question)], None))
        }
    }
}

fn list_roots(_: &str) -> Outcome {
    let round = Round::current();
    match round.answer::<Roots>("client_roots") {
        Some(roots) => say(format!("The client works in {}", uris(&roots))),
        None => Err(round.ask(vec![("client_roots", InputRequest::Roots)], None)),
    }
}

fn state(_: &str) -> Outcome {
    let round = Round::current();
    match round.0.state.as_deref() {
        // The host seals what an agent remembers; an agent that can tell what is not its own says so all the same.
        Some(other) if other != STATE => Err(foreign_state()),
        Some(_) if round.answer::<Elicited>("confirm").is_some() => say("state-ok"),
        _ => Err(round.ask(vec![("confirm", form("Please confirm", "ok", "boolean"))], Some(STATE.into()))),
    }
}

fn multiple_inputs(_: &str) -> Outcome {
    let round = Round::current();
    let name = round.field("user_name", "name");
    let greeting = round.answer::<Sampled>("greeting");
    let roots = round.answer::<Roots>("client_roots");
    let (Some(name), Some(greeting), Some(roots)) = (name, greeting, roots) else {
        let questions = vec![
            ("user_name", form("What is your name?", "name", "string")),
            ("greeting", sampling("Generate a greeting", ANSWER_TOKENS_MAX)),
            ("client_roots", InputRequest::Roots),
        ];
        return Err(round.ask(questions, Some(STATE.into())));
    };
    say(format!("{} {name} works in {}", greeting.text(), uris(&roots)))
}

/// What the second round remembers of the first.
#[derive(serde::Serialize, serde::Deserialize)]
struct Remembered {
    /// None while it is being asked for.
    name: Option<String>,
}

fn multi_round(_: &str) -> Outcome {
    let round = Round::current();
    let remembered = match round.0.state.as_deref() {
        Some(state) => serde_json::from_str(state).map_err(|_| foreign_state())?,
        None => Remembered { name: None },
    };
    let Some(name) = remembered.name.or_else(|| round.field("step1", "name")) else {
        let question = form("Step 1: What is your name?", "name", "string");
        return Err(round.ask(vec![("step1", question)], Some(state_of(&Remembered { name: None }))));
    };
    let Some(color) = round.field("step2", "color") else {
        let question = form("Step 2: What is your favorite color?", "color", "string");
        return Err(round.ask(vec![("step2", question)], Some(state_of(&Remembered { name: Some(name) }))));
    };
    say(format!("{name} likes {color}"))
}

fn capabilities(_: &str) -> Outcome {
    let round = Round::current();
    let possible = [
        ("elicitation", "user_name", form("What is your name?", "name", "string")),
        ("sampling", "greeting", sampling("Generate a greeting", ANSWER_TOKENS_MAX)),
        ("roots", "client_roots", InputRequest::Roots),
    ];
    let open: Vec<_> = possible
        .into_iter()
        .filter(|(capability, key, _)| round.declares(capability) && !answered(&round, key))
        .map(|(_, key, question)| (key, question))
        .collect();
    if open.is_empty() { say("Nothing is left to ask.") } else { Err(round.ask(open, None)) }
}

fn answered(round: &Round, key: &str) -> bool {
    round.answer::<serde_json::Map<String, serde_json::Value>>(key).is_some()
}

fn state_of(remembered: &Remembered) -> String {
    serde_json::to_string(remembered).expect("a name is always JSON")
}

fn foreign_state() -> Error {
    Error::InvalidInput("this state is not one the tool gave out; start again without it".into())
}

fn uris(roots: &Roots) -> String {
    roots.roots.iter().map(|root| root.uri.as_str()).collect::<Vec<_>>().join(", ")
}
