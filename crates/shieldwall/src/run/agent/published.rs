//! Numbers the engine's thread publishes each second and others read.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! published {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What was counted so far, shared.
        #[derive(Debug, Default)]
        pub(super) struct Published {
            $(pub(super) $name: AtomicU64,)*
        }

        /// The values of [`Published`] at one moment.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Numbers {
            $($(#[$doc])* pub(super) $name: u64,)*
        }

        impl Published {
            /// Reads all of them.
            pub(super) fn read(&self) -> Numbers {
                Numbers { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

published! {
    /// Lines the engine took.
    lines,
    /// Lines that went through all stages.
    parsed,
    /// Of those, lines a whitelist dropped.
    whitelisted,
    /// Lines without a date where one was needed.
    undated,
    /// Expressions that failed.
    errors,
    /// Live buckets.
    buckets,
    /// Buckets dropped because there were too many.
    evicted,
    /// Alerts.
    alerts,
    /// Lines that met a bug of ours.
    panics,
}

/// Replaces a number.
pub(super) fn set(number: &AtomicU64, value: u64) {
    number.store(value, Ordering::Relaxed);
}

/// Adds one.
pub(super) fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}
