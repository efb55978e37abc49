use serde::Serialize;

use super::{ContentView, MessageView, PromptView, ResourceView, TemplateView, ToolView};
use crate::agent::contract::{
    Annotations, Argument, Body, Content, EmbeddedResource, Hints, Icon, MediaContent, Message, Prompt, Resource, Role,
    Template, TextContent, Theme, Tool,
};
use crate::mcp::json;
use crate::mcp::name::Names;

const COMMON: Names<'static> = Names { agent: Some("files") };
const OWN: Names<'static> = Names { agent: None };

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn resource() -> Resource {
    Resource {
        uri: "file:///a".into(),
        name: "a".into(),
        title: None,
        description: None,
        mime_type: None,
        size: None,
        version: Some("7".into()),
        annotations: None,
        icons: vec![],
    }
}

#[test]
fn absent_fields_stay_absent() {
    assert_eq!(json(&ResourceView::new(&resource(), OWN)), r#"{"uri":"file:///a","name":"a"}"#);
    let schema = r#"{"type":"object"}"#;
    let mut tool = Tool {
        name: "read".into(),
        title: None,
        description: None,
        input_schema: schema.into(),
        output_schema: None,
        hints: None,
        icons: vec![],
    };
    let input = json::object_schema(schema).unwrap();
    assert_eq!(
        json(&ToolView::new(&tool, COMMON, input, None)),
        r#"{"name":"files__read","inputSchema":{"type":"object"}}"#
    );
    tool.hints = Some(Hints { read_only: Some(true), destructive: None, idempotent: None, open_world: Some(false) });
    let hinted = json(&ToolView::new(&tool, OWN, input, Some(input)));
    assert!(
        hinted.ends_with(
            r#""outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#
        ),
        "{hinted}"
    );
}

#[test]
fn present_fields_have_mcps_names() {
    let annotations = |priority| Annotations {
        audience: vec![Role::User],
        priority: Some(priority),
        last_modified: Some("2026-11-23".into()),
    };
    let icon = Icon {
        src: "data:,".into(),
        mime_type: Some("image/png".into()),
        sizes: vec!["any".into()],
        theme: Some(Theme::Dark),
    };
    let full = Resource {
        size: Some(3),
        annotations: Some(annotations(0.5)),
        icons: vec![icon],
        mime_type: Some("text/plain".into()),
        ..resource()
    };
    let shown = json(&ResourceView::new(&full, COMMON));
    let wanted = concat!(
        r#"{"uri":"files+file:///a","name":"a","mimeType":"text/plain","size":3,"#,
        r#""annotations":{"audience":["user"],"priority":0.5,"lastModified":"2026-11-23"},"#,
        r#""icons":[{"src":"data:,","mimeType":"image/png","sizes":["any"],"theme":"dark"}]}"#
    );
    assert_eq!(shown, wanted);

    let odd = Resource { annotations: Some(annotations(f64::NAN)), ..resource() };
    assert!(!json(&ResourceView::new(&odd, OWN)).contains("priority"), "MCP has no such number");
}

#[test]
fn templates_and_prompts() {
    let template = Template {
        uri_template: "file:///{path}".into(),
        name: "file".into(),
        title: None,
        description: Some("d".into()),
        mime_type: None,
        annotations: None,
        icons: vec![],
    };
    let wanted = r#"{"uriTemplate":"files+file:///{path}","name":"file","description":"d"}"#;
    assert_eq!(json(&TemplateView::new(&template, COMMON)), wanted);
    let argument = Argument { name: "x".into(), title: None, description: None, required: true };
    let prompt = Prompt {
        name: "p".into(),
        title: Some("P".into()),
        description: None,
        arguments: vec![argument],
        icons: vec![],
    };
    let wanted = r#"{"name":"files__p","title":"P","arguments":[{"name":"x","required":true}]}"#;
    assert_eq!(json(&PromptView::new(&prompt, COMMON)), wanted);
}

#[test]
fn content_of_every_kind() {
    let shown = |content: Content, names| json(&ContentView::new(&content, names));
    let text = Content::Text(TextContent { text: "a\"b".into(), annotations: None });
    assert_eq!(shown(text, COMMON), r#"{"type":"text","text":"a\"b"}"#);
    let media =
        || MediaContent { data: b"\x00\xff\x10\x20".to_vec(), mime_type: "audio/wav".into(), annotations: None };
    assert_eq!(shown(Content::Audio(media()), OWN), r#"{"type":"audio","data":"AP8QIA==","mimeType":"audio/wav"}"#);
    assert!(shown(Content::Image(media()), OWN).starts_with(r#"{"type":"image","#));
    let link = shown(Content::ResourceLink(resource()), COMMON);
    assert_eq!(link, r#"{"type":"resource_link","uri":"files+file:///a","name":"a"}"#);
    let embedded = |body| {
        Content::Embedded(EmbeddedResource {
            uri: "test://e".into(),
            mime_type: Some("text/plain".into()),
            body,
            annotations: None,
        })
    };
    let wanted = r#"{"type":"resource","resource":{"uri":"files+test://e","mimeType":"text/plain","text":"t"}}"#;
    assert_eq!(shown(embedded(Body::Text("t".into())), COMMON), wanted);
    let wanted = r#"{"type":"resource","resource":{"uri":"test://e","mimeType":"text/plain","blob":"YQ=="}}"#;
    assert_eq!(shown(embedded(Body::Binary(b"a".to_vec())), OWN), wanted);
}

#[test]
fn messages_have_roles() {
    let content = Content::Text(TextContent { text: "hi".into(), annotations: None });
    let message = Message { role: Role::Assistant, content };
    assert_eq!(json(&MessageView::new(&message, OWN)), r#"{"role":"assistant","content":{"type":"text","text":"hi"}}"#);
}
