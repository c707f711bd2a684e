//! Where things are: the workspace, the cache, the built binary.

use std::env;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::child;

/// The workspace.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Finds the workspace this task belongs to.
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask stands in no workspace")?;
        Ok(Self { root: root.to_path_buf() })
    }

    /// The directory of the workspace's manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A directory for what is fetched and generated. It survives between runs, wherever the
    /// compiler's output goes.
    pub(crate) fn cache(&self, part: &str) -> Result<PathBuf> {
        let dir = self.root.join("target/conformance").join(part);
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(dir)
    }

    /// The cargo that runs us, in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        command
    }

    /// What cargo knows about the workspace, without its dependencies.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let mut command = self.cargo();
        command.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
        let text = child::output(&mut command, "asking cargo for metadata")?;
        serde_json::from_str(&text).context("reading cargo's metadata")
    }

    /// Builds `shieldwall` in release and says where it is.
    pub(crate) fn release_binary(&self) -> Result<PathBuf> {
        let mut command = self.cargo();
        command.args(["build", "--release", "--package", "shieldwall"]);
        child::run(&mut command, "building shieldwall")?;
        let metadata = self.metadata()?;
        let target = metadata["target_directory"].as_str().context("no target directory")?;
        let binary = Path::new(target).join("release/shieldwall");
        anyhow::ensure!(binary.is_file(), "{} was not built", binary.display());
        Ok(binary)
    }
}

/// Writes lines into a file, each with its end.
pub(crate) fn write_lines(path: &Path, lines: &[String]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut out = BufWriter::new(fs::File::create(path)?);
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Makes `dir` exist and be empty.
pub(crate) fn fresh_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("emptying {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))
}
