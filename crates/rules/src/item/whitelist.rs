//! Whitelists: why an event is dropped although it parsed.

use super::ExprSource;
use crate::{
    codes,
    reader::{Fields, Reader},
};
use core::net::IpAddr;
use ipnet::IpNet;
use syntax::{Diagnostic, Span, yaml::Scalar};

/// Addresses, networks and conditions that mark an event as whitelisted.
///
/// INVARIANT: at least one of the three lists has an entry.
#[derive(Clone, Debug)]
pub struct Whitelist {
    /// The whole object, to point at.
    pub span: Span,
    /// What the event's `WhitelistReason` becomes. May be empty.
    pub reason: String,
    /// Addresses, compared as parsed: a mapped IPv6 address is not its IPv4 twin.
    pub ips: Vec<IpAddr>,
    /// Networks, with host bits cleared.
    pub networks: Vec<IpNet>,
    /// Conditions, tried in order when no address matched.
    pub expressions: Vec<ExprSource>,
}

/// Reads a node's whitelist. One without any entry, or with an error, is none.
pub(super) fn whitelist(fields: &Fields<'_>, reader: &mut Reader) -> Option<Whitelist> {
    let known = &["reason", "ip", "cidr", "expression"];
    let fields = Fields::open("a whitelist", fields.value("whitelist")?, known, reader)?;
    let reason = fields.text("reason", reader).map(|scalar| scalar.text.clone());
    let whitelist = Whitelist {
        span: fields.span(),
        reason: reason.unwrap_or_default(),
        ips: read_all("ip", &fields, address, reader),
        networks: read_all("cidr", &fields, network, reader),
        expressions: fields.texts("expression", reader).into_iter().map(ExprSource::new).collect(),
    };
    let n_entries = whitelist.ips.len() + whitelist.networks.len() + whitelist.expressions.len();
    (n_entries > 0).then_some(whitelist)
}

fn read_all<T>(
    key: &str,
    fields: &Fields<'_>,
    read: fn(&Scalar) -> Result<T, Diagnostic>,
    reader: &mut Reader,
) -> Vec<T> {
    let mut entries = Vec::new();
    for scalar in fields.texts(key, reader) {
        match read(scalar) {
            Ok(entry) => entries.push(entry),
            Err(diagnostic) => reader.report(diagnostic),
        }
    }
    entries
}

fn address(scalar: &Scalar) -> Result<IpAddr, Diagnostic> {
    scalar.text.parse().map_err(|_| {
        let bad = bad_address("an IP address", scalar);
        match scalar.text.parse::<IpNet>() {
            Ok(_) => bad.help("list networks under `cidr`"),
            Err(_) => bad,
        }
    })
}

fn network(scalar: &Scalar) -> Result<IpNet, Diagnostic> {
    scalar.text.parse::<IpNet>().map(|network| network.trunc()).map_err(|_| {
        let bad = bad_address("a network", scalar);
        match scalar.text.parse::<IpAddr>() {
            Ok(address) => bad.fix(
                "a single address is a network too",
                scalar.span,
                IpNet::from(address).to_string(),
            ),
            Err(_) => bad,
        }
    })
}

fn bad_address(wanted: &str, scalar: &Scalar) -> Diagnostic {
    Diagnostic::error(codes::BAD_ADDRESS, format!("`{}` is not {wanted}", scalar.text))
        .at(scalar.span, "")
}
