use stockade_ledger::{Ledger, Spec};

use super::Page;
use crate::agent::Charged;
use crate::agent::contract::{Prompt, PromptPage, Tool, ToolPage};
use crate::mcp::buffer::{Buffer, Overflow};
use crate::mcp::name::Names;
use crate::mcp::version::Era;

const OWN: Names<'static> = Names { agent: None };

fn account() -> stockade_ledger::Account {
    Ledger::new(1 << 20).account(Spec { name: "replies".into(), ceiling: 1 << 20, floor: 0 }).unwrap()
}

fn tool(name: &str, input: &str, output: Option<&str>) -> Tool {
    Tool {
        name: name.into(),
        title: None,
        description: None,
        input_schema: input.into(),
        output_schema: output.map(String::from),
        hints: None,
        icons: vec![],
    }
}

fn tools(tools: Vec<Tool>) -> Page {
    Page::Tools(Charged { value: ToolPage { tools, next: None, cache: None }, charge: account().empty() })
}

fn written(page: &Page, era: Era) -> (String, usize) {
    let (mut out, mut entries) = (Buffer::new(&account(), 1 << 16), 0);
    page.write(OWN, era, &mut out, &mut entries).unwrap();
    (String::from_utf8(out.as_ref().to_vec()).unwrap(), entries)
}

#[test]
fn what_mcp_cannot_carry_is_left_out() {
    let object = r#"{"type":"object"}"#;
    let page = tools(vec![
        tool("no schema", object, None),
        tool("a", object, None),
        tool("b", "{", None),
        tool("c", r#"{"type":"string"}"#, None),
        tool("d", object, Some("not json")),
        tool("e", object, None),
    ]);
    let wanted = r#"{"name":"a","inputSchema":{"type":"object"}},{"name":"e","inputSchema":{"type":"object"}}"#;
    assert_eq!(written(&page, Era::Modern), (wanted.into(), 2));
    let prompt =
        |name: &str| Prompt { name: name.into(), title: None, description: None, arguments: vec![], icons: vec![] };
    let value = PromptPage { prompts: vec![prompt("x y"), prompt("z")], next: None, cache: None };
    let page = Page::Prompts(Charged { value, charge: account().empty() });
    assert_eq!(written(&page, Era::Modern), (r#"{"name":"z"}"#.into(), 1));
}

#[test]
fn older_clients_only_know_output_that_is_an_object() {
    let page = || tools(vec![tool("a", r#"{"type":"object"}"#, Some(r#"{"type":"array"}"#))]);
    assert!(written(&page(), Era::Modern).0.contains(r#""outputSchema":{"type":"array"}"#));
    assert!(!written(&page(), Era::Legacy).0.contains("outputSchema"));
}

#[test]
fn a_schema_on_many_lines_comes_out_on_one() {
    let page = tools(vec![tool("a", "{\n  \"type\":\n \"object\"\r\n}", None)]);
    assert!(!written(&page, Era::Modern).0.contains(['\n', '\r']));
}

#[test]
fn a_page_that_does_not_fit_says_so() {
    let page = tools((0..100).map(|n| tool(&format!("t{n}"), r#"{"type":"object"}"#, None)).collect());
    let mut out = Buffer::new(&account(), 1000);
    assert!(matches!(page.write(OWN, Era::Modern, &mut out, &mut 0), Err(Overflow::Cap { cap: 1000, .. })));
}
