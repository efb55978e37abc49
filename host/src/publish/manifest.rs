//! Manifests as they are pushed: image manifests and indexes of OCI, and Docker's of the same shapes.
//!
//! Reads only what the host needs to know, borrowed from the bytes, with bounds on how much there may be of it; the bytes
//! themselves are what is stored and served. A document that could be read as two kinds of manifest is none.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::digest::Digest;
use super::error::Error;
use super::index::tables::{Need, Record};

/// Blobs or manifests that one manifest may name.
const NEEDS_MAX: usize = 1_000;

/// Bytes of a referrer's annotations, which are repeated in every list of referrers.
const ANNOTATIONS_BYTES_MAX: usize = 64 << 10;

/// Bytes of a type's name.
const TYPE_BYTES_MAX: usize = 255;

/// Media types that are taken, and whether each is a list of manifests.
const MEDIA_TYPES: [(&str, bool); 4] = [
    ("application/vnd.oci.image.manifest.v1+json", false),
    (INDEX, true),
    ("application/vnd.docker.distribution.manifest.v2+json", false),
    ("application/vnd.docker.distribution.manifest.list.v2+json", true),
];

/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u64,
    #[serde(borrow)]
    media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    artifact_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    config: Option<Descriptor<'a>>,
    #[serde(borrow)]
    layers: Option<Bounded<Descriptor<'a>>>,
    #[serde(borrow)]
    manifests: Option<Bounded<Descriptor<'a>>>,
    #[serde(borrow)]
    subject: Option<Descriptor<'a>>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    #[serde(borrow)]
    media_type: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    size: u64,
}

/// What the host keeps of a manifest; `media_type` is what the client says it is.
///
/// # Errors
///
/// When it is none, or not of that type.
pub fn read(media_type: &str, bytes: &[u8]) -> Result<Record, Error> {
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let Some((_, is_list)) = MEDIA_TYPES.iter().find(|(known, _)| *known == media_type) else {
        let known = MEDIA_TYPES.map(|(known, _)| known).join(", ");
        return Err(invalid(format!("a manifest's `content-type` is one of {known}")));
    };
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|error| invalid(error.to_string()))?;
    if document.schema_version != 2 {
        return Err(invalid("`schemaVersion` is 2".to_owned()));
    }
    if document.media_type.as_ref().is_some_and(|said| said != media_type) {
        return Err(invalid(format!("`content-type` says {media_type}, but `mediaType` something else")));
    }
    let needs = if *is_list { document.list()? } else { document.image()? };
    let subject = document.subject.as_ref().map(Descriptor::digest).transpose()?;
    let artifact_type = document.artifact_type.as_ref().filter(|kind| !kind.is_empty());
    let artifact_type = artifact_type.or(document.config.as_ref().map(|config| &config.media_type));
    if artifact_type.is_some_and(|kind| kind.len() > TYPE_BYTES_MAX) {
        return Err(invalid(format!("the name of a type has at most {TYPE_BYTES_MAX} bytes")));
    }
    let annotations = match &subject {
        Some(_) => document.annotations.map(annotations).transpose()?,
        None => None,
    };
    Ok(Record {
        media_type: media_type.to_owned(),
        size: bytes.len() as u64,
        artifact_type: artifact_type.map(|kind| kind.clone().into_owned()),
        subject: subject.map(|subject| subject.to_string()),
        annotations,
        needs,
    })
}

impl Document<'_> {
    /// What an image manifest needs.
    fn image(&self) -> Result<Vec<Need>, Error> {
        if self.manifests.is_some() {
            return Err(invalid("an image manifest has no `manifests`: is it an index?".to_owned()));
        }
        let config = self.config.as_ref().ok_or_else(|| invalid("an image manifest has a `config`".to_owned()))?;
        let layers = self.layers.as_ref().map_or(&[][..], |layers| &layers.0);
        needs(std::iter::once(config).chain(layers), false)
    }

    /// What an index needs.
    fn list(&self) -> Result<Vec<Need>, Error> {
        if self.config.is_some() || self.layers.is_some() {
            return Err(invalid("an index has neither `config` nor `layers`: is it an image manifest?".to_owned()));
        }
        let manifests = self.manifests.as_ref().ok_or_else(|| invalid("an index has `manifests`".to_owned()))?;
        needs(manifests.0.iter(), true)
    }
}

fn needs<'a>(named: impl Iterator<Item = &'a Descriptor<'a>>, is_manifest: bool) -> Result<Vec<Need>, Error> {
    let need = |named: &Descriptor<'_>| Ok(Need { digest: named.digest()?.to_string(), size: named.size, is_manifest });
    let mut needs = named.map(need).collect::<Result<Vec<_>, Error>>()?;
    needs.sort_unstable();
    needs.dedup();
    Ok(needs)
}

impl Descriptor<'_> {
    fn digest(&self) -> Result<Digest, Error> {
        self.digest.parse().map_err(|error: super::digest::NoDigest| invalid(error.to_string()))
    }
}

/// Annotations as they are repeated in lists: checked to be texts by name.
fn annotations(raw: &RawValue) -> Result<Box<RawValue>, Error> {
    let bytes = raw.get().len();
    if bytes > ANNOTATIONS_BYTES_MAX {
        return Err(invalid(format!(
            "the annotations of a manifest with a `subject` have {bytes} bytes, at most {ANNOTATIONS_BYTES_MAX}"
        )));
    }
    serde_json::from_str::<BTreeMap<Cow<'_, str>, Cow<'_, str>>>(raw.get())
        .map_err(|error| invalid(format!("`annotations` are texts by name: {error}")))?;
    Ok(raw.to_owned())
}

/// Characters of what is wrong with a document; the reader of JSON repeats what it did not expect.
const WHY_CHARS_MAX: usize = 300;

fn invalid(why: String) -> Error {
    // A text of the document may be as long as it.
    let short = why.char_indices().nth(WHY_CHARS_MAX).map(|(end, _)| why[..end].to_owned());
    Error::ManifestInvalid(short.unwrap_or(why))
}

/// A list of at most [`NEEDS_MAX`].
struct Bounded<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Few(PhantomData))
    }
}

struct Few<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
    type Value = Bounded<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a list of at most {NEEDS_MAX} descriptors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bounded<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == NEEDS_MAX {
                return Err(serde::de::Error::custom(format!("more than {NEEDS_MAX} descriptors in a list")));
            }
            list.push(item);
        }
        Ok(Bounded(list))
    }
}

#[cfg(test)]
mod tests;
