//! Where reports go.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// Writes a report as NAME.json and, for readers, as NAME.md.
pub(crate) fn write(folder: &Path, name: &str, json: &impl Serialize, text: &str) -> Result<()> {
    let put = |kind: &str, text: &str| {
        let path = folder.join(format!("{name}.{kind}"));
        std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
    };
    std::fs::create_dir_all(folder)?;
    put("json", &serde_json::to_string_pretty(json)?)?;
    put("md", text)
}
