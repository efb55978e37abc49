//! The layout of a component as an OCI artifact (CNCF TAG Runtime, "Wasm OCI Artifact"): a config of its own type, and the
//! component as the one layer.
//!
//! What the config claims of imports and exports is the publisher's word: nothing here is decided by it. It must only be about
//! this layer.

use serde::Deserialize;

use super::digest::{Algorithm, Digest};
use super::error::Error;

/// Media types of the config and of the layer.
pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
pub const LAYER_TYPE: &str = "application/wasm";

/// Bytes of a config.
pub const CONFIG_BYTES_MAX: u64 = 64 << 10;

/// Where an artifact's parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub config: Digest,
    pub component: Digest,
    /// Bytes of the component.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Image {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    layer_digests: Option<Vec<String>>,
}

impl Layout {
    /// Reads a manifest that was found to be one.
    ///
    /// # Errors
    ///
    /// When it is not of a component.
    pub fn read(manifest: &[u8]) -> Result<Self, Error> {
        let wrong = |why: String| Error::ManifestInvalid(format!("a version is a WebAssembly component: {why}"));
        let Image { config, layers } =
            serde_json::from_slice(manifest).map_err(|_| wrong("its manifest is an image manifest".to_owned()))?;
        if config.media_type != CONFIG_TYPE {
            return Err(wrong(format!("its config has the type {CONFIG_TYPE}, not {}", config.media_type)));
        }
        let [layer] = &layers[..] else {
            return Err(wrong(format!("it has one layer, not {}", layers.len())));
        };
        if layer.media_type != LAYER_TYPE {
            return Err(wrong(format!("its layer has the type {LAYER_TYPE}, not {}", layer.media_type)));
        }
        if config.size > CONFIG_BYTES_MAX {
            return Err(wrong(format!("its config has {} bytes; at most {CONFIG_BYTES_MAX} are allowed", config.size)));
        }
        let digest = |text: &str| text.parse::<Digest>().map_err(|error| wrong(error.to_string()));
        let component = digest(&layer.digest)?;
        if component.algorithm() != Algorithm::Sha256 {
            return Err(wrong("its layer is named by its sha256".to_owned()));
        }
        Ok(Self { config: digest(&config.digest)?, component, bytes: layer.size })
    }

    /// Whether a config can be of this component.
    ///
    /// # Errors
    ///
    /// When it says that it is of something else.
    pub fn check_config(&self, config: &[u8]) -> Result<(), Error> {
        let wrong = |why: String| Error::ManifestInvalid(format!("the config of a component {why}"));
        let Config { os, layer_digests } =
            serde_json::from_slice(config).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if let Some(os) = os.filter(|os| os != "wasip2") {
            return Err(wrong(format!("says `os: {os}`; only wasip2 runs here")));
        }
        match layer_digests {
            Some(layers) if layers.iter().all(|layer| layer != self.component.as_str()) => {
                Err(wrong(format!("is not of the layer {}", self.component)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
