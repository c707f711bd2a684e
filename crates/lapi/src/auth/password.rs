//! Passwords of machines: Argon2id for new ones; bcrypt, which older databases hold, is understood.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

/// Nobody types a password longer than this.
const LONGEST: usize = 1024;

/// Whether a password fits its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Right,
    /// It does, and the hash is of an older kind: store a new one.
    RightButOld,
    /// It does not.
    Wrong,
}

/// Hashes a password. Takes some ten milliseconds and 19 MiB on purpose: call it where that does
/// not hurt others.
///
/// # Errors
/// When the password is longer than 1024 bytes, or the system has no randomness to give.
pub fn hash(password: &str) -> Result<String, String> {
    if password.len() > LONGEST {
        return Err("the password is too long".to_owned());
    }
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Checks a password. As slow as [`hash`].
#[must_use]
pub fn verify(password: &str, hash: &str) -> Verdict {
    if password.len() > LONGEST {
        return Verdict::Wrong;
    }
    if hash.starts_with("$2") {
        // COMPAT(crowdsec): bcrypt refuses what is longer than 72 bytes.
        let right = password.len() <= 72 && bcrypt::verify(password, hash).unwrap_or(false);
        return if right { Verdict::RightButOld } else { Verdict::Wrong };
    }
    let Ok(parsed) = PasswordHash::new(hash) else { return Verdict::Wrong };
    match Argon2::default().verify_password(password.as_bytes(), &parsed) {
        Ok(()) => Verdict::Right,
        Err(_) => Verdict::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_hashes_are_understood() {
        let new = hash("secret").unwrap();
        assert!(new.starts_with("$argon2id$"), "{new}");
        assert_eq!(verify("secret", &new), Verdict::Right);
        assert_eq!(verify("Secret", &new), Verdict::Wrong);
        let old = bcrypt::hash("secret", 4).unwrap();
        assert_eq!(verify("secret", &old), Verdict::RightButOld);
        assert_eq!(verify("other", &old), Verdict::Wrong);
        assert_eq!(verify("secret", "secret"), Verdict::Wrong);
        assert_eq!(verify("", ""), Verdict::Wrong);
        assert_eq!(verify(&"x".repeat(2000), &new), Verdict::Wrong);
    }
}
