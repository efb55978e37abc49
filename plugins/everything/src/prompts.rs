//! Prompts: the conformance suite's five, and one with both roles and every kind of content the others leave out.

use crate::exports::stockade::agent::prompts::{Argument, Guest, Message, Prompt, PromptPage, PromptResult};
use crate::question::{Round, form};
use crate::stockade::agent::types::{Body, Content, EmbeddedResource, Error, MediaContent, Role, Theme};
use crate::{Everything, PIXEL_PNG, SILENCE_WAV, icon, resources, stable, text};

impl Guest for Everything {
    fn list_prompts(cursor: Option<String>) -> Result<PromptPage, Error> {
        if let Some(cursor) = cursor {
            return Err(Error::InvalidInput(format!("no page {cursor}; the prompts are one page")));
        }
        let prompts = vec![
            prompt("test_simple_prompt", "One message, no arguments.", &[]),
            prompt("test_prompt_with_arguments", "Repeats its two arguments.", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", "Carries a resource along.", &["resourceUri"]),
            prompt("test_prompt_with_image", "Carries an image along.", &[]),
            prompt("test_input_required_result_prompt", "Asks the person for context first.", &[]),
            prompt("conversation", "Both roles; audio and a resource link.", &[]),
        ];
        Ok(PromptPage { prompts, next: None, cache: stable() })
    }

    fn get(name: String, arguments: Vec<(String, String)>) -> Result<PromptResult, Error> {
        let arguments = Arguments(arguments);
        let messages = match name.as_str() {
            "test_simple_prompt" => vec![user(text("This is a simple prompt for testing."))],
            "test_prompt_with_arguments" => with_arguments(&arguments)?,
            "test_prompt_with_embedded_resource" => with_embedded_resource(&arguments)?,
            "test_prompt_with_image" => vec![user(pixel()), user(text("Please analyze the image above."))],
            "test_input_required_result_prompt" => with_context()?,
            "conversation" => conversation(),
            other => return Err(Error::NotFound(format!("no prompt {other}; see prompts/list"))),
        };
        Ok(PromptResult { description: Some(format!("What {name} prepared")), messages })
    }
}

struct Arguments(Vec<(String, String)>);

impl Arguments {
    fn required(&self, name: &str) -> Result<&str, Error> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| Error::InvalidInput(format!("argument {name} is required")))
    }
}

fn with_arguments(arguments: &Arguments) -> Result<Vec<Message>, Error> {
    let (first, second) = (arguments.required("arg1")?, arguments.required("arg2")?);
    Ok(vec![user(text(format!("Prompt with arguments: arg1='{first}', arg2='{second}'")))])
}

fn with_embedded_resource(arguments: &Arguments) -> Result<Vec<Message>, Error> {
    let resource = EmbeddedResource {
        uri: arguments.required("resourceUri")?.into(),
        mime_type: Some("text/plain".into()),
        body: Body::Text("Embedded resource content for testing.".into()),
        annotations: None,
    };
    Ok(vec![user(Content::Embedded(resource)), user(text("Please process the embedded resource above."))])
}

fn with_context() -> Result<Vec<Message>, Error> {
    let round = Round::current();
    let Some(context) = round.field("user_context", "context") else {
        let question = form("What context should the prompt use?", "context", "string");
        return Err(round.ask(vec![("user_context", question)], None));
    };
    Ok(vec![user(text(format!("Use this context: {context}")))])
}

fn conversation() -> Vec<Message> {
    let audio = MediaContent { data: SILENCE_WAV.into(), mime_type: "audio/wav".into(), annotations: None };
    vec![
        user(text("What is in this recording, and where can I read more?")),
        user(Content::Audio(audio)),
        Message { role: Role::Assistant, content: text("Silence. This is where to read more:") },
        Message { role: Role::Assistant, content: Content::ResourceLink(resources::static_text()) },
    ]
}

fn user(content: Content) -> Message {
    Message { role: Role::User, content }
}

fn pixel() -> Content {
    Content::Image(MediaContent { data: PIXEL_PNG.into(), mime_type: "image/png".into(), annotations: None })
}

fn prompt(name: &str, description: &str, required: &[&str]) -> Prompt {
    let argument = |name: &&str| Argument {
        name: name.to_string(),
        title: Some(format!("The {name}")),
        description: Some(format!("Is put into the prompt as {name}.")),
        required: true,
    };
    Prompt {
        name: name.into(),
        title: Some(name.replace('_', " ")),
        description: Some(description.into()),
        arguments: required.iter().map(argument).collect(),
        icons: vec![icon(Theme::Light)],
    }
}
