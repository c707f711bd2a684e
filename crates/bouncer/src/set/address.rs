//! The two families of addresses as numbers, and networks of them.

use core::{
    fmt::Debug,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

/// An address of one family, as a number: `u32` or `u128`.
pub trait Address: Copy + Ord + Debug + Send + Sync + 'static {
    /// How many bits it has.
    const BITS: u8;
    /// The highest address.
    const MAX: Self;
    /// The lowest address.
    const MIN: Self;

    /// The next higher address.
    fn next(self) -> Option<Self>;
    /// The next lower address.
    fn previous(self) -> Option<Self>;
    /// The first address of the network of this `length` around it.
    fn network(self, length: u8) -> Self;
    /// The last address of the network of this `length` around it.
    fn broadcast(self, length: u8) -> Self;
    /// How many low bits are zero.
    fn zeros(self) -> u8;
    /// As everybody writes it.
    fn to_ip(self) -> IpAddr;
    /// Its bytes in network order, in front of the unused ones.
    fn octets(self) -> ([u8; 16], usize);
    /// The address of which these are the bytes.
    fn from_octets(bytes: &[u8]) -> Option<Self>;
}

impl Address for u32 {
    const BITS: u8 = 32;
    const MAX: Self = Self::MAX;
    const MIN: Self = 0;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }

    fn network(self, length: u8) -> Self {
        self & !Self::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    fn broadcast(self, length: u8) -> Self {
        self | Self::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    fn zeros(self) -> u8 {
        // At most 32.
        self.trailing_zeros() as u8
    }

    fn to_ip(self) -> IpAddr {
        Ipv4Addr::from(self).into()
    }

    fn octets(self) -> ([u8; 16], usize) {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.to_be_bytes());
        (bytes, 4)
    }

    fn from_octets(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Address for u128 {
    const BITS: u8 = 128;
    const MAX: Self = Self::MAX;
    const MIN: Self = 0;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }

    fn network(self, length: u8) -> Self {
        self & !Self::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    fn broadcast(self, length: u8) -> Self {
        self | Self::MAX.checked_shr(length.into()).unwrap_or(0)
    }

    fn zeros(self) -> u8 {
        // At most 128.
        self.trailing_zeros() as u8
    }

    fn to_ip(self) -> IpAddr {
        Ipv6Addr::from(self).into()
    }

    fn octets(self) -> ([u8; 16], usize) {
        (self.to_be_bytes(), 16)
    }

    fn from_octets(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// A network, ordered so that one comes right before all those inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Net<A> {
    pub(crate) first: A,
    pub(crate) length: u8,
}

impl<A: Address> Net<A> {
    pub(crate) fn last(self) -> A {
        self.first.broadcast(self.length)
    }
}

/// A network of either family, host bits cleared, IPv4 addresses in IPv6 clothing undressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    V4(Net<u32>),
    V6(Net<u128>),
}

impl Target {
    pub(crate) fn of(net: IpNet) -> Self {
        match model::canonical_net(net) {
            IpNet::V4(net) => {
                Self::V4(Net { first: net.network().to_bits(), length: net.prefix_len() })
            }
            IpNet::V6(net) => {
                Self::V6(Net { first: net.network().to_bits(), length: net.prefix_len() })
            }
        }
    }
}

/// The fewest networks that hold exactly the addresses from `first` to `last`, in order.
pub(crate) fn networks<A: Address>(first: A, last: A, mut found: impl FnMut(Net<A>)) {
    let mut at = first;
    while at <= last {
        // The widest network that begins here and does not end behind `last`.
        let mut length = A::BITS - at.zeros().min(A::BITS);
        while at.broadcast(length) > last {
            length += 1;
        }
        let net = Net { first: at, length };
        found(net);
        let Some(next) = net.last().next() else { return };
        at = next;
    }
}
