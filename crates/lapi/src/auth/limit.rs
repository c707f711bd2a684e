//! How often an address may fail: a bucket of attempts that refills with time.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
};

use model::Timestamp;

/// So many addresses are remembered; beyond that, strangers share one bucket.
const MOST: usize = 10_000;

/// Attempts left for each address.
pub(crate) struct Limiter {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Limiter {
    /// `burst` attempts at once, and one more every `seconds`.
    pub(crate) fn new(burst: u32, seconds: u32) -> Self {
        let per_second = 1.0 / f64::from(seconds.max(1));
        Self { burst: f64::from(burst), per_second, buckets: Mutex::default() }
    }

    /// Takes an attempt; false when none is left.
    pub(crate) fn take(&self, ip: IpAddr, now: Timestamp) -> bool {
        self.change(ip, now, |left| {
            let enough = *left >= 1.0;
            if enough {
                *left -= 1.0;
            }
            enough
        })
    }

    /// Gives an attempt back: it turned out well.
    pub(crate) fn give_back(&self, ip: IpAddr, now: Timestamp) {
        self.change(ip, now, |left| *left += 1.0);
    }

    fn change<T>(&self, ip: IpAddr, now: Timestamp, change: impl FnOnce(&mut f64) -> T) -> T {
        // A panic elsewhere leaves numbers behind, and any number will do.
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut key = network(ip);
        if buckets.len() >= MOST && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.refilled(*bucket, now) < self.burst);
            if buckets.len() >= MOST {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: self.burst, at: now });
        let mut left = self.refilled(*bucket, now);
        let result = change(&mut left);
        *bucket = Bucket { left: left.min(self.burst), at: now };
        result
    }

    fn refilled(&self, bucket: Bucket, now: Timestamp) -> f64 {
        let seconds = now.nanos_since(bucket.at).max(0) as f64 / 1e9;
        (bucket.left + seconds * self.per_second).min(self.burst)
    }
}

/// What one subscriber has: an IPv4 address, or an IPv6 network of 64 bits.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_run_out_and_come_back() {
        let limiter = Limiter::new(2, 10);
        let ip: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbor: IpAddr = "2001:db8::2".parse().unwrap();
        let at = |second| Timestamp::from_unix(second, 0);
        assert!(limiter.take(ip, at(0)) && limiter.take(neighbor, at(0)));
        assert!(!limiter.take(ip, at(0)), "neighbors share a bucket");
        assert!(limiter.take("192.0.2.1".parse().unwrap(), at(0)));
        assert!(!limiter.take(ip, at(9)));
        assert!(limiter.take(ip, at(11)));
        limiter.give_back(ip, at(11));
        assert!(limiter.take(ip, at(11)));
        assert!(!limiter.take(ip, at(5)), "a clock that steps back refills nothing");
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(1, 10);
        for number in 0..u32::try_from(MOST).unwrap() + 500 {
            limiter.take(IpAddr::V4(number.into()), Timestamp::from_unix(0, 0));
        }
        assert!(limiter.buckets.lock().unwrap().len() <= MOST + 1);
    }
}
