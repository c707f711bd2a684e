//! Identifiers of alerts: the same alert gets the same one, also when its lines are read again.
//!
//! A process that is killed reads the lines behind its last saved position once more, and what
//! overflowed then overflows again. An identifier made of what makes the alert (its bucket, the
//! stamps of its lines, its source) lets every parent recognize it. A secret of this outbox goes
//! into it: two hosts with the same files do not collide, and nobody outside can make an alert look
//! sent already.

use model::{Source, Uuid};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};
use tracing::warn;

/// What goes into every identifier.
pub(super) type Secret = [u8; 16];

/// The secret of the outbox in `dir`, made up the first time. Where it cannot be kept it is good for
/// this run: an alert may then come twice after a crash, never be taken for another.
pub(super) fn secret(dir: &Path) -> io::Result<Secret> {
    let path = dir.join("secret");
    if let Some(secret) = fs::read_to_string(&path).ok().as_deref().and_then(parse) {
        return Ok(secret);
    }
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    if let Err(error) = keep(dir, &path, secret) {
        warn!(path = %path.display(), %error, "cannot be written; alerts may come twice after a crash");
    }
    Ok(secret)
}

fn parse(text: &str) -> Option<Secret> {
    let text = text.trim();
    let is_whole = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_whole.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes))?
}

fn keep(dir: &Path, path: &Path, secret: Secret) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    writeln!(file, "{:032x}", u128::from_be_bytes(secret))?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(dir)?.sync_all()
}

/// The identifier of the alert an overflow makes about a source.
pub(super) fn name(secret: Secret, identity: u128, source: &Source) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(secret);
    hash.update(identity.to_be_bytes());
    hash.update(source.scope.name().as_bytes());
    hash.update([0]);
    hash.update(source.value.as_bytes());
    let digest = hash.finalize();
    let bits = digest.iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte));
    Uuid::from_random(bits)
}
