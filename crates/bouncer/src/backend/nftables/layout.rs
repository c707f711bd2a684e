//! The objects that stand around the elements: table, sets, chains, rules, counters.
//!
//! Elements live in four maps from addresses to counters: hosts and ranges of both families. A
//! rule looks an address up once, counts the packet on the counter of whoever decided, and stops
//! it; an address that is not in the map ends the rule. So any number of origins costs no more
//! look-ups than one. (A map from addresses to verdicts would make the kernel walk all its elements
//! at every transaction, to rule out loops.)
//!
//! In a table of somebody else's ([`Ownership::SetsOnly`]) there are plain sets and nothing else:
//! what happens to their members is said by rules that are not ours.

use super::{
    super::BackendError,
    Hook, Log, Ownership, Settings, Stop,
    socket::Socket,
    wire::{Attributes, Messages, attribute, attributes, number, text_of, u32_of, u64_of},
};

/// Set flags of the kernel.
const INTERVAL: u32 = 4;
const TIMEOUT: u32 = 0x10;
const OBJECT: u32 = 0x40;
/// A table that is asleep: its chains see no packets.
const DORMANT: u32 = 1;
/// Expired elements are invisible at once; collecting them walks the whole set, which the kernel
/// would otherwise do every second.
const COLLECT_EVERY_MS: u32 = 60_000;
const OBJECT_COUNTER: u32 = 1;
/// The chain that logs and answers, where stopping is more than dropping.
const STOP_CHAIN: &str = "stop";

/// The four sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetKind {
    Hosts4,
    Hosts6,
    Ranges4,
    Ranges6,
}

impl SetKind {
    pub(super) const ALL: [Self; 4] = [Self::Hosts4, Self::Ranges4, Self::Hosts6, Self::Ranges6];

    pub(super) fn name(self, settings: &Settings) -> String {
        let name = match self {
            Self::Hosts4 => "hosts4",
            Self::Hosts6 => "hosts6",
            Self::Ranges4 => "ranges4",
            Self::Ranges6 => "ranges6",
        };
        format!("{}{name}", settings.set_prefix)
    }

    fn is_ipv6(self) -> bool {
        matches!(self, Self::Hosts6 | Self::Ranges6)
    }

    fn flags(self, ownership: Ownership) -> u32 {
        let interval = match self {
            Self::Hosts4 | Self::Hosts6 => 0,
            Self::Ranges4 | Self::Ranges6 => INTERVAL,
        };
        let object = match ownership {
            Ownership::Table => OBJECT,
            Ownership::SetsOnly => 0,
        };
        TIMEOUT | interval | object
    }

    fn key_length(self) -> u32 {
        if self.is_ipv6() { 16 } else { 4 }
    }
}

/// What there is of ours in the kernel, elements aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Handle and flags, when the table exists.
    pub(super) table: Option<(u64, u32)>,
    pub(super) sets: Vec<FoundSet>,
    pub(super) chains: Vec<FoundChain>,
    /// Chain and handle, in order.
    pub(super) rules: Vec<(String, u64)>,
}

/// A set as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundSet {
    pub(super) name: String,
    pub(super) handle: u64,
    pub(super) flags: u32,
    pub(super) key_length: u32,
}

/// How many elements a set has, by its name; kernels before 6.16 do not say.
pub(super) type Counts = Vec<(String, u32)>;

/// A chain as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundChain {
    pub(super) name: String,
    pub(super) handle: u64,
    /// Hook and priority.
    pub(super) hook: Option<(u32, i32)>,
}

fn named(table: &str, kind: u16) -> impl Fn(&mut Messages) {
    move |out| {
        out.write(kind, number::DUMP, number::INET, |body| body.text(1, table));
    }
}

/// Reads what there is.
pub(super) fn find(
    socket: &mut Socket,
    settings: &Settings,
) -> Result<(Found, Counts), BackendError> {
    let table = &settings.table;
    // A dump of tables knows no filter.
    let mut found = Found {
        table: socket.dump(
            "reading the tables of nftables",
            |out| out.write(number::GET_TABLE, number::DUMP, number::INET, |_| {}),
            |found: &mut Option<(u64, u32)>, message| {
                let (mut is_ours, mut handle, mut flags) = (false, 0, 0);
                for (kind, value) in message.attributes() {
                    match kind {
                        1 => is_ours = text_of(value) == *table,
                        2 => flags = u32_of(value).unwrap_or(0),
                        4 => handle = u64_of(value).unwrap_or(0),
                        _ => {}
                    }
                }
                if is_ours {
                    *found = Some((handle, flags));
                }
            },
            || None,
        )?,
        ..Found::default()
    };
    if found.table.is_none() {
        return Ok((found, Vec::new()));
    }
    let (sets, counts) = socket.dump(
        "reading the sets of nftables",
        named(table, number::GET_SET),
        |(sets, counts): &mut (Vec<FoundSet>, Counts), message| {
            let mut count = None;
            let mut set = FoundSet { name: String::new(), handle: 0, flags: 0, key_length: 0 };
            for (kind, value) in message.attributes() {
                match kind {
                    1 if text_of(value) != *table => return,
                    2 => set.name = text_of(value),
                    3 => set.flags = u32_of(value).unwrap_or(0),
                    5 => set.key_length = u32_of(value).unwrap_or(0),
                    16 => set.handle = u64_of(value).unwrap_or(0),
                    20 => count = u32_of(value),
                    _ => {}
                }
            }
            counts.extend(count.map(|count| (set.name.clone(), count)));
            sets.push(set);
        },
        <(Vec<FoundSet>, Counts)>::default,
    )?;
    found.sets = sets;
    if settings.ownership == Ownership::SetsOnly {
        found.sets.retain(|set| SetKind::ALL.iter().any(|kind| kind.name(settings) == set.name));
        return Ok((found, counts));
    }
    found.chains = socket.dump(
        "reading the chains of nftables",
        named(table, number::GET_CHAIN),
        |chains: &mut Vec<FoundChain>, message| {
            let mut chain = FoundChain { name: String::new(), handle: 0, hook: None };
            for (kind, value) in message.attributes() {
                match kind {
                    1 if text_of(value) != *table => return,
                    2 => chain.handle = u64_of(value).unwrap_or(0),
                    3 => chain.name = text_of(value),
                    4 => {
                        let number = attribute(value, 1).and_then(u32_of);
                        let priority = attribute(value, 2).and_then(u32_of);
                        chain.hook = number.zip(priority.map(u32::cast_signed));
                    }
                    _ => {}
                }
            }
            chains.push(chain);
        },
        Vec::new,
    )?;
    found.rules = socket.dump(
        "reading the rules of nftables",
        named(table, number::GET_RULE),
        |rules: &mut Vec<(String, u64)>, message| {
            let (mut chain, mut handle) = (String::new(), 0);
            for (kind, value) in message.attributes() {
                match kind {
                    1 if text_of(value) != *table => return,
                    2 => chain = text_of(value),
                    3 => handle = u64_of(value).unwrap_or(0),
                    _ => {}
                }
            }
            rules.push((chain, handle));
        },
        Vec::new,
    )?;
    Ok((found, counts))
}

/// Whether the sets can be kept as they are, so that what is in them stays in effect.
pub(super) fn can_adopt(found: &Found, settings: &Settings) -> bool {
    SetKind::ALL.iter().all(|kind| {
        let name = kind.name(settings);
        found.sets.iter().find(|set| set.name == name).is_none_or(|set| {
            set.flags == kind.flags(settings.ownership) && set.key_length == kind.key_length()
        })
    })
}

/// Whether everything is there that a rebuild would make.
pub(super) fn is_whole(found: &Found, settings: &Settings) -> bool {
    let has_sets = SetKind::ALL
        .iter()
        .all(|kind| found.sets.iter().any(|set| set.name == kind.name(settings)));
    let is_awake = found.table.is_some_and(|(_, flags)| flags & DORMANT == 0);
    if settings.ownership == Ownership::SetsOnly {
        return found.table.is_some() && has_sets;
    }
    let chains = chains(settings);
    let has_chains = chains.len() == found.chains.len()
        && chains.iter().all(|chain| {
            let hook = chain.hook.map(|hook| (hook.number(), settings.priority));
            found.chains.iter().any(|there| there.name == chain.name && there.hook == hook)
                && found.rules.iter().filter(|(name, _)| *name == chain.name).count()
                    == chain.rules.len()
        });
    is_awake && has_sets && has_chains
}

/// Writes what makes everything whole again. The sets are kept, or made where they are missing.
pub(super) fn rebuild(batch: &mut Messages, found: &Found, settings: &Settings) {
    let table = settings.table.as_str();
    if settings.ownership == Ownership::Table {
        batch.write(number::NEW_TABLE, number::CREATE, number::INET, |body| {
            body.text(1, table);
            // Awake, should somebody have put it to sleep.
            body.u32(2, 0);
        });
    }
    for (at, kind) in SetKind::ALL.into_iter().enumerate() {
        let name = kind.name(settings);
        if found.sets.iter().any(|set| set.name == name) {
            continue;
        }
        // Four of them.
        let id = at as u32 + 1;
        batch.write(number::NEW_SET, number::CREATE, number::INET, |body| {
            body.text(1, table);
            body.text(2, &name);
            body.u32(3, kind.flags(settings.ownership));
            // The numbers by which nft calls the two types of addresses.
            body.u32(4, if kind.is_ipv6() { 8 } else { 7 });
            body.u32(5, kind.key_length());
            body.u32(10, id);
            body.u32(12, COLLECT_EVERY_MS);
            // For nft alone: the keys are big-endian.
            body.bytes(13, &[&[0, 4][..], &2u32.to_ne_bytes()].concat());
            if settings.ownership == Ownership::Table {
                body.u32(15, OBJECT_COUNTER);
            }
        });
    }
    if settings.ownership == Ownership::SetsOnly {
        return;
    }
    // All rules go first, so that no chain is in use when it goes.
    for chain in &found.chains {
        batch.write(number::DEL_RULE, 0, number::INET, |body| {
            body.text(1, table);
            body.text(2, &chain.name);
        });
    }
    for chain in &found.chains {
        batch.write(number::DEL_CHAIN, 0, number::INET, |body| {
            body.text(1, table);
            body.text(3, &chain.name);
        });
    }
    let chains = chains(settings);
    for chain in &chains {
        batch.write(number::NEW_CHAIN, number::CREATE, number::INET, |body| {
            body.text(1, table);
            body.text(3, &chain.name);
            if let Some(hook) = chain.hook {
                body.nest(4, |at| {
                    at.u32(1, hook.number());
                    at.u32(2, settings.priority.cast_unsigned());
                });
                // Accept what no rule stops.
                body.u32(5, 1);
                body.text(7, "filter");
            }
        });
    }
    for chain in &chains {
        for rule in &chain.rules {
            batch.write(number::NEW_RULE, number::CREATE | number::APPEND, number::INET, |body| {
                body.text(1, table);
                body.text(2, &chain.name);
                body.nest(4, |list| {
                    for expression in rule {
                        list.nest(1, |element| expression.write(element));
                    }
                });
            });
        }
    }
}

/// Writes the end of the table with everything in it.
pub(super) fn remove_table(batch: &mut Messages, settings: &Settings) {
    batch.write(number::DEL_TABLE, 0, number::INET, |body| body.text(1, &settings.table));
}

/// The counter of packets that were looked at.
pub(super) fn processed_counter(is_ipv6: bool) -> String {
    counter_name("processed", is_ipv6)
}

fn counter_name(stem: &str, is_ipv6: bool) -> String {
    format!("{stem}-{}", if is_ipv6 { "v6" } else { "v4" })
}

/// The counter of an origin: its name as far as nft can read it, told apart where that is not all.
pub(super) fn origin_counter(origin: &str, is_ipv6: bool) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let stem: String = origin.chars().take(64).map(|c| if allowed(c) { c } else { '-' }).collect();
    let is_plain = stem == origin
        && stem.starts_with(|c: char| c.is_ascii_alphabetic())
        && stem != "processed";
    if is_plain {
        return counter_name(&stem, is_ipv6);
    }
    // FNV-1a: the same in every run, so that counters are found again.
    let hash = origin.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    counter_name(&format!("o-{stem}-{hash:016x}"), is_ipv6)
}

/// Writes a new counter; `comment` is what it is read back by.
pub(super) fn add_counter(batch: &mut Messages, table: &str, name: &str, comment: &str) {
    batch.write(number::NEW_OBJECT, number::CREATE, number::INET, |body| {
        body.text(1, table);
        body.text(2, name);
        body.u32(3, OBJECT_COUNTER);
        body.nest(4, |_| {});
        if comment.is_empty() {
            return;
        }
        // Longer comments are refused by nft.
        let end = comment.floor_char_boundary(120);
        let mut data = vec![0, (end + 1) as u8];
        data.extend_from_slice(&comment.as_bytes()[..end]);
        data.push(0);
        body.bytes(8, &data);
    });
}

/// A counter as it was read.
#[derive(Clone, Debug)]
pub(super) struct FoundCounter {
    pub(super) name: String,
    pub(super) comment: Option<String>,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// Reads all counters of the table.
pub(super) fn counters(
    socket: &mut Socket,
    settings: &Settings,
) -> Result<Vec<FoundCounter>, BackendError> {
    let table = &settings.table;
    socket.dump(
        "reading the counters of nftables",
        |out| {
            out.write(number::GET_OBJECT, number::DUMP, number::INET, |body| {
                body.text(1, table);
                body.u32(3, OBJECT_COUNTER);
            });
        },
        |counters: &mut Vec<FoundCounter>, message| {
            let mut counter =
                FoundCounter { name: String::new(), comment: None, packets: 0, bytes: 0 };
            let mut is_ours = false;
            for (kind, value) in message.attributes() {
                match kind {
                    1 => is_ours = text_of(value) == *table,
                    2 => counter.name = text_of(value),
                    3 => is_ours &= u32_of(value) == Some(OBJECT_COUNTER),
                    4 => {
                        counter.bytes = attribute(value, 1).and_then(u64_of).unwrap_or(0);
                        counter.packets = attribute(value, 2).and_then(u64_of).unwrap_or(0);
                    }
                    8 => counter.comment = comment(value),
                    _ => {}
                }
            }
            if is_ours {
                counters.push(counter);
            }
        },
        Vec::new,
    )
}

/// User data are a kind, a length and a value, each a byte; the kind 0 is the comment.
fn comment(data: &[u8]) -> Option<String> {
    let (kind, length) = (*data.first()?, usize::from(*data.get(1)?));
    (kind == 0).then_some(())?;
    Some(text_of(data.get(2..2 + length)?))
}

/// A chain as it shall be.
struct Chain {
    name: String,
    hook: Option<Hook>,
    rules: Vec<Vec<Expression>>,
}

fn chains(settings: &Settings) -> Vec<Chain> {
    let mut chains = Vec::new();
    let answers = settings.log.is_some() || settings.stop == Stop::Reject;
    if answers {
        let mut rules = Vec::new();
        if let Some(log) = &settings.log {
            rules.push(vec![
                Expression::Limit { per_second: log.per_second },
                Expression::Log(log.clone()),
            ]);
        }
        match settings.stop {
            Stop::Drop => rules.push(vec![Expression::Verdict(Verdict::Drop)]),
            Stop::Reject => {
                // 16: the protocol above IP; 6: TCP.
                rules.push(vec![
                    Expression::Meta(16),
                    Expression::Equals(vec![6]),
                    Expression::Reset,
                ]);
                rules.push(vec![Expression::Prohibited]);
            }
        }
        chains.push(Chain { name: STOP_CHAIN.to_owned(), hook: None, rules });
    }
    let stop = if answers { Verdict::GoToStop } else { Verdict::Drop };
    let family = |is_ipv6| {
        // 15: the protocol family.
        let number = if is_ipv6 { number::IPV6 } else { number::IPV4 };
        [Expression::Meta(15), Expression::Equals(vec![number])]
    };
    for hook in &settings.hooks {
        // 6: the name of the interface a packet came in by. This host may always talk to itself.
        let mut name = [0; 16];
        name[..2].copy_from_slice(b"lo");
        let mut rules = vec![vec![
            Expression::Meta(6),
            Expression::Equals(name.to_vec()),
            Expression::Verdict(Verdict::Accept),
        ]];
        if settings.count_processed {
            for is_ipv6 in [false, true] {
                let mut rule = family(is_ipv6).to_vec();
                rule.push(Expression::Count(processed_counter(is_ipv6)));
                rules.push(rule);
            }
        }
        for kind in SetKind::ALL {
            let mut rule = family(kind.is_ipv6()).to_vec();
            rule.push(Expression::SourceAddress { is_ipv6: kind.is_ipv6() });
            rule.push(Expression::CountBy { set: kind.name(settings) });
            rule.push(Expression::Verdict(stop));
            rules.push(rule);
        }
        chains.push(Chain { name: hook.name().to_owned(), hook: Some(*hook), rules });
    }
    chains
}

/// One step of a rule. Each works on register 1.
#[derive(Clone, Debug)]
enum Expression {
    /// Loads something about the packet.
    Meta(u32),
    /// Loads where it came from.
    SourceAddress {
        is_ipv6: bool,
    },
    /// Ends the rule unless what was loaded equals this.
    Equals(Vec<u8>),
    /// Counts.
    Count(String),
    /// Counts on the counter the map names; ends the rule when it names none.
    CountBy {
        set: String,
    },
    /// Ends the rule when it was reached more often than this.
    Limit {
        per_second: u32,
    },
    /// Writes a line to the kernel's log.
    Log(Log),
    /// Answers that the connection is closed.
    Reset,
    /// Answers that an administrator forbids it.
    Prohibited,
    Verdict(Verdict),
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Accept,
    Drop,
    GoToStop,
}

impl Expression {
    fn write(&self, out: &mut Attributes<'_>) {
        const REGISTER: u32 = 1;
        match self {
            Self::Meta(key) => part(out, "meta", |data| {
                data.u32(1, REGISTER);
                data.u32(2, *key);
            }),
            Self::SourceAddress { is_ipv6 } => part(out, "payload", |data| {
                let (offset, length) = if *is_ipv6 { (8, 16) } else { (12, 4) };
                data.u32(1, REGISTER);
                // Counted from the network header.
                data.u32(2, 1);
                data.u32(3, offset);
                data.u32(4, length);
            }),
            Self::Equals(value) => part(out, "cmp", |data| {
                data.u32(1, REGISTER);
                data.u32(2, 0);
                data.nest(3, |inner| inner.bytes(1, value));
            }),
            Self::Count(name) => part(out, "objref", |data| {
                data.u32(1, OBJECT_COUNTER);
                data.text(2, name);
            }),
            Self::CountBy { set } => part(out, "objref", |data| {
                data.u32(3, REGISTER);
                data.text(4, set);
            }),
            Self::Limit { per_second } => part(out, "limit", |data| {
                data.u64(1, (*per_second).into());
                data.u64(2, 1);
                data.u32(3, 5);
            }),
            Self::Log(log) => part(out, "log", |data| {
                data.text(2, &log.prefix);
                if let Some(group) = log.group {
                    data.bytes(1, &group.to_be_bytes());
                }
            }),
            Self::Reset => part(out, "reject", |data| data.u32(1, 1)),
            Self::Prohibited => part(out, "reject", |data| {
                // Whichever ICMP the packet's family has.
                data.u32(1, 2);
                data.bytes(2, &[3]);
            }),
            Self::Verdict(verdict) => part(out, "immediate", |data| {
                data.u32(1, 0);
                data.nest(2, |inner| {
                    inner.nest(2, |code| {
                        let number: i32 = match verdict {
                            Verdict::Drop => 0,
                            Verdict::Accept => 1,
                            Verdict::GoToStop => -4,
                        };
                        code.u32(1, number.cast_unsigned());
                        if matches!(verdict, Verdict::GoToStop) {
                            code.text(2, STOP_CHAIN);
                        }
                    });
                });
            }),
        }
    }
}

fn part(out: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    out.text(1, name);
    out.nest(2, data);
}

/// The first attribute of every element in a list of elements.
pub(super) fn elements(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = attribute(body, 3).unwrap_or_default();
    attributes(list).map(|(_, element)| element)
}
