//! Every kind of content a result may hold.

use super::{Entry, Outcome, result, say};
use crate::exports::stockade::agent::tools::ToolResult;
use crate::stockade::agent::types::{Annotations, Body, Content, EmbeddedResource, MediaContent, Role, TextContent};
use crate::{PIXEL_PNG, SILENCE_WAV, resources, text};

pub const TOOLS: &[Entry] = &[
    Entry::new("test_simple_text", "Answers with one text.", |_| say("This is a simple text response for testing.")),
    Entry::new("test_image_content", "Answers with an image.", |_| Ok(result(vec![pixel()]))),
    Entry::new("test_audio_content", "Answers with a recording.", |_| Ok(result(vec![silence()]))),
    Entry::new("test_embedded_resource", "Answers with a resource carried along.", embedded_resource),
    Entry::new("test_multiple_content_types", "Answers with a text, an image and a resource.", multiple_types),
    Entry::new("test_error_handling", "Runs, and reports that it did not succeed.", error_handling),
    Entry::new("resource_link", "Answers with an annotated text and a resource to read later.", resource_link),
];

fn pixel() -> Content {
    Content::Image(MediaContent { data: PIXEL_PNG.into(), mime_type: "image/png".into(), annotations: None })
}

fn silence() -> Content {
    Content::Audio(MediaContent { data: SILENCE_WAV.into(), mime_type: "audio/wav".into(), annotations: None })
}

fn embedded(uri: &str, mime_type: &str, body: Body) -> Content {
    Content::Embedded(EmbeddedResource { uri: uri.into(), mime_type: Some(mime_type.into()), body, annotations: None })
}

fn embedded_resource(_: &str) -> Outcome {
    let body = Body::Text("This is an embedded resource content.".into());
    Ok(result(vec![embedded("test://embedded-resource", "text/plain", body)]))
}

fn multiple_types(_: &str) -> Outcome {
    let data = Body::Text(r#"{"test":"data","value":123}"#.into());
    Ok(result(vec![
        text("Multiple content types test:"),
        pixel(),
        embedded("test://mixed-content-resource", "application/json", data),
        embedded("test://mixed-content-bytes", "image/png", Body::Binary(PIXEL_PNG.into())),
    ]))
}

fn error_handling(_: &str) -> Outcome {
    let content = vec![text("This tool intentionally returns an error for testing")];
    Ok(ToolResult { content, structured: None, is_error: true })
}

fn resource_link(_: &str) -> Outcome {
    let annotations = Annotations { audience: vec![Role::User], priority: Some(1.0), last_modified: None };
    let introduction = TextContent { text: "Read this:".into(), annotations: Some(annotations) };
    Ok(result(vec![Content::Text(introduction), Content::ResourceLink(resources::static_text())]))
}
