//! What is remembered of an agent, and when it is not trusted.

use super::*;
use crate::manifest::{Manifest, Overrides};

fn offer() -> Offer {
    let icon = Icon {
        src: "https://example.org/i.png".into(),
        mime_type: None,
        sizes: vec!["48x48".into()],
        theme: Some(Theme::Dark),
    };
    let description = Description {
        title: "Files".into(),
        description: "Reads files.".into(),
        version: "1.2.3".into(),
        instructions: Some("Read first.".into()),
        website_url: None,
        icons: vec![icon],
        changes: Changes::PROMPTS | Changes::RESOURCE,
        poll_ms: Some(500),
    };
    Offer {
        version: "1.2.3".into(),
        description,
        digest: "ab".repeat(32),
        resources: true,
        tools: false,
        prompts: true,
        completion: false,
        _charge: None,
    }
}

struct Place {
    data: tempfile::TempDir,
    known: Known,
}

impl Place {
    /// A component that has lain there for a while, and what is known of its agent.
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("a.wasm"), b"a component").unwrap();
        let known = Known::open(data.path()).unwrap();
        Self { data, known }
    }

    /// The agent as a manifest with this in its entry has it.
    fn agent(&self, more: &str) -> (Release, AgentSpec) {
        let file = self.data.path().join("manifest.yaml");
        std::fs::write(&file, format!("memory: 512M\nagents: {{ a: {{ component: a.wasm{more} }} }}\n")).unwrap();
        let manifest = Manifest::load(&file, &Overrides::default()).unwrap();
        let (name, spec) = manifest.agents.into_iter().next().unwrap();
        (Release::of_file(&name, &spec).unwrap(), spec)
    }

    fn recall(&self, release: &Release, spec: &AgentSpec) -> Option<Offer> {
        self.known.recall(release, spec, later())
    }
}

/// When the files of a test have been there for a while.
fn later() -> SystemTime {
    SystemTime::now() + 2 * SETTLED
}

fn subject(release: &Release, spec: &AgentSpec) -> Subject {
    Subject::of(release, spec, later()).unwrap()
}

#[test]
fn what_was_found_out_is_known_again_until_the_file_is_another() {
    let place = Place::new();
    let (release, spec) = place.agent("");
    assert!(Subject::of(&release, &spec, SystemTime::now()).is_none(), "a file of this moment may change unseen");
    assert!(Subject::of(&release, &spec, SystemTime::now() - 100 * SETTLED).is_none(), "so may one of the future");
    place.known.note(&release, subject(&release, &spec), &offer(), 1 << 20);
    let recalled = place.recall(&release, &spec).unwrap();
    assert_eq!(format!("{recalled:?}"), format!("{:?}", offer()));

    // The same bytes in a file of their own: nobody has looked at that one.
    std::fs::write(place.data.path().join("b.wasm"), b"a component").unwrap();
    std::fs::rename(place.data.path().join("b.wasm"), place.data.path().join("a.wasm")).unwrap();
    assert!(place.recall(&release, &spec).is_none());
}

#[test]
fn another_cap_or_grant_is_another_trial() {
    let place = Place::new();
    let (release, spec) = place.agent("");
    place.known.note(&release, subject(&release, &spec), &offer(), 4 << 20);
    let (_, small) = place.agent(", memory: 2M, reserve: 1M");
    assert!(place.recall(&release, &small).is_none(), "it needs 4 MiB to start");
    std::fs::create_dir(place.data.path().join("docs")).unwrap();
    let (_, granted) = place.agent(", dirs: { /docs: { path: docs } }");
    assert!(place.recall(&release, &granted).is_none());
    assert!(place.recall(&release, &spec).is_some());
}

#[test]
fn a_file_cut_short_is_as_good_as_none() {
    let place = Place::new();
    let (release, spec) = place.agent("");
    place.known.note(&release, subject(&release, &spec), &offer(), 0);
    let file = place.data.path().join("known/a.json");
    let text = std::fs::read(&file).unwrap();
    for end in [0, 1, text.len() / 2, text.len() - 1] {
        std::fs::write(&file, &text[..end]).unwrap();
        assert!(place.recall(&release, &spec).is_none());
    }
}

#[test]
fn what_says_too_much_of_itself_is_not_noted() {
    let place = Place::new();
    let (release, spec) = place.agent("");
    let mut long = offer();
    long.description.description = "x".repeat(FACTS_BYTES_MAX as usize);
    place.known.note(&release, subject(&release, &spec), &long, 0);
    assert!(place.recall(&release, &spec).is_none());
}
