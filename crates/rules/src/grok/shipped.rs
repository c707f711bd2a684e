//! Definitions that rules out there expect to find in pattern files beside them.
//!
//! An installation may have such files, and what they say counts. These stand in for names no file
//! gives, so that rules run without any. They are written as pattern files, with the reasons beside
//! them, and refer to the base set and to earlier ones.

/// The files, in the order in which they are read.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    ("syslog", include_str!("shipped/syslog")),
    ("web", include_str!("shipped/web")),
    ("ssh", include_str!("shipped/ssh")),
    ("services", include_str!("shipped/services")),
];

#[cfg(test)]
mod tests;
