//! The contract's types as MCP's JSON.
//!
//! Every view borrows what it shows and writes straight into the reply: binary as base64, guests' JSON as it is, names
//! as the endpoint shows them. Optional fields that are absent stay absent; MCP knows no `null` here.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::name::{Names, Shown};
use crate::agent::contract::{
    Annotations, Argument, Body, Content, EmbeddedResource, Hints, Icon, MediaContent, Message, Prompt, Resource, Role,
    Template, Theme, Tool,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolView<'a> {
    name: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: &'a Option<String>,
    input_schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<HintsView>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "icons")]
    icons: &'a [Icon],
}

impl<'a> ToolView<'a> {
    /// The schemas come checked.
    pub fn new(tool: &'a Tool, names: Names<'a>, input: &'a RawValue, output: Option<&'a RawValue>) -> Self {
        Self {
            name: names.name(&tool.name),
            title: &tool.title,
            description: &tool.description,
            input_schema: input,
            output_schema: output,
            annotations: tool.hints.as_ref().map(HintsView::new),
            icons: &tool.icons,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HintsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destructive_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotent_hint: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_world_hint: Option<bool>,
}

impl HintsView {
    fn new(hints: &Hints) -> Self {
        Self {
            read_only_hint: hints.read_only,
            destructive_hint: hints.destructive,
            idempotent_hint: hints.idempotent,
            open_world_hint: hints.open_world,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceView<'a> {
    uri: Shown<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<AnnotationsView<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "icons")]
    icons: &'a [Icon],
}

impl<'a> ResourceView<'a> {
    pub fn new(resource: &'a Resource, names: Names<'a>) -> Self {
        Self {
            uri: names.uri(&resource.uri),
            name: &resource.name,
            title: &resource.title,
            description: &resource.description,
            mime_type: &resource.mime_type,
            size: resource.size,
            annotations: resource.annotations.as_ref().map(AnnotationsView::new),
            icons: &resource.icons,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView<'a> {
    uri_template: Shown<'a>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<AnnotationsView<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "icons")]
    icons: &'a [Icon],
}

impl<'a> TemplateView<'a> {
    pub fn new(template: &'a Template, names: Names<'a>) -> Self {
        Self {
            uri_template: names.uri(&template.uri_template),
            name: &template.name,
            title: &template.title,
            description: &template.description,
            mime_type: &template.mime_type,
            annotations: template.annotations.as_ref().map(AnnotationsView::new),
            icons: &template.icons,
        }
    }
}

#[derive(Serialize)]
pub struct PromptView<'a> {
    name: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: &'a Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "arguments")]
    arguments: &'a [Argument],
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "icons")]
    icons: &'a [Icon],
}

impl<'a> PromptView<'a> {
    pub fn new(prompt: &'a Prompt, names: Names<'a>) -> Self {
        Self {
            name: names.name(&prompt.name),
            title: &prompt.title,
            description: &prompt.description,
            arguments: &prompt.arguments,
            icons: &prompt.icons,
        }
    }
}

fn arguments<S: Serializer>(arguments: &&[Argument], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct ArgumentView<'a> {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: &'a Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: &'a Option<String>,
        required: bool,
    }
    serializer.collect_seq(arguments.iter().map(|Argument { name, title, description, required }| ArgumentView {
        name,
        title,
        description,
        required: *required,
    }))
}

/// One piece of a tool's result or of a prompt's message.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentView<'a> {
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<AnnotationsView<'a>>,
    },
    Image(MediaView<'a>),
    Audio(MediaView<'a>),
    ResourceLink(ResourceView<'a>),
    Resource {
        resource: EmbeddedView<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<AnnotationsView<'a>>,
    },
}

impl<'a> ContentView<'a> {
    pub fn new(content: &'a Content, names: Names<'a>) -> Self {
        let annotations = |of: &'a Option<Annotations>| of.as_ref().map(AnnotationsView::new);
        match content {
            Content::Text(text) => Self::Text { text: &text.text, annotations: annotations(&text.annotations) },
            Content::Image(image) => Self::Image(MediaView::new(image)),
            Content::Audio(audio) => Self::Audio(MediaView::new(audio)),
            Content::ResourceLink(resource) => Self::ResourceLink(ResourceView::new(resource, names)),
            Content::Embedded(embedded) => Self::Resource {
                resource: EmbeddedView::new(embedded, names),
                annotations: annotations(&embedded.annotations),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaView<'a> {
    data: Base64<'a>,
    mime_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<AnnotationsView<'a>>,
}

impl<'a> MediaView<'a> {
    fn new(media: &'a MediaContent) -> Self {
        let annotations = media.annotations.as_ref().map(AnnotationsView::new);
        Self { data: Base64(&media.data), mime_type: &media.mime_type, annotations }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedView<'a> {
    uri: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<Base64<'a>>,
}

impl<'a> EmbeddedView<'a> {
    fn new(embedded: &'a EmbeddedResource, names: Names<'a>) -> Self {
        let (text, blob) = match &embedded.body {
            Body::Text(text) => (Some(text.as_str()), None),
            Body::Binary(bytes) => (None, Some(Base64(bytes))),
        };
        Self { uri: names.uri(&embedded.uri), mime_type: &embedded.mime_type, text, blob }
    }
}

/// Bytes as a base64 string, encoded while they are written.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[derive(Serialize)]
pub struct MessageView<'a> {
    role: &'static str,
    content: ContentView<'a>,
}

impl<'a> MessageView<'a> {
    pub fn new(message: &'a Message, names: Names<'a>) -> Self {
        Self { role: role(message.role), content: ContentView::new(&message.content, names) }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnotationsView<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "roles")]
    audience: &'a [Role],
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: &'a Option<String>,
}

impl<'a> AnnotationsView<'a> {
    fn new(annotations: &'a Annotations) -> Self {
        // A priority outside MCP's range, or no number at all, says nothing.
        let priority = annotations.priority.filter(|priority| (0.0..=1.0).contains(priority));
        Self { audience: &annotations.audience, priority, last_modified: &annotations.last_modified }
    }
}

fn roles<S: Serializer>(roles: &&[Role], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(roles.iter().copied().map(role))
}

/// A field of icons.
pub fn icons<S: Serializer>(icons: &&[Icon], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct IconView<'a> {
        src: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        mime_type: &'a Option<String>,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        sizes: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        theme: Option<&'static str>,
    }
    serializer.collect_seq(icons.iter().map(|Icon { src, mime_type, sizes, theme }| IconView {
        src,
        mime_type,
        sizes,
        theme: theme.map(|theme| match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }),
    }))
}

#[cfg(test)]
mod tests;
