//! Addresses and what is known about them.

use super::{Args, Cx, Eval, Value, texts};
use crate::builtins::net;
use crate::function::Function as F;
use crate::value::ObjectKind;
use core::net::IpAddr;

impl Cx<'_> {
    pub(super) fn network_helper(&mut self, args: &Args<'_>) -> Eval<Value> {
        match args.function {
            F::IpInRange => {
                Ok(Value::Bool(net::ip_in_range(args.str(0, self)?, args.str(1, self)?)))
            }
            F::IpToRange => {
                let range = net::ip_to_range(args.str(0, self)?, args.str(1, self)?);
                Ok(self.literal(&range))
            }
            F::IsIpv4 => Ok(Value::Bool(net::is_ipv4(args.str(0, self)?))),
            F::IsIpv6 => Ok(Value::Bool(net::is_ipv6(args.str(0, self)?))),
            F::IsIp => Ok(Value::Bool(net::is_ip(args.str(0, self)?))),
            F::LookupHost => {
                let found = self.outside.lookup_host(args.str(0, self)?);
                self.made(texts(found))
            }
            F::IpToCountry => {
                let Some(ip) = net::parse_ip(args.str(0, self)?) else {
                    return Ok(self.literal(""));
                };
                let outside = self.outside;
                let code = outside.city(ip).map_or("", |city| city.iso_code);
                Ok(self.literal(code))
            }
            F::GeoIpEnrich => {
                let ip = self.ip(args)?;
                Ok(self.outside.city(ip).map_or(Value::Nil, |city| {
                    let country = Value::object(
                        ObjectKind::Geo,
                        alloc::vec![
                            ("IsoCode", Value::shared(city.iso_code)),
                            ("IsInEuropeanUnion", Value::Bool(city.is_in_eu)),
                        ],
                    );
                    let location = Value::object(
                        ObjectKind::Geo,
                        alloc::vec![
                            ("Latitude", Value::Float(city.latitude)),
                            ("Longitude", Value::Float(city.longitude)),
                        ],
                    );
                    Value::object(
                        ObjectKind::Geo,
                        alloc::vec![("Country", country), ("Location", location)],
                    )
                }))
            }
            F::GeoIpAsnEnrich => {
                let ip = self.ip(args)?;
                Ok(self.outside.asn(ip).map_or(Value::Nil, |asn| {
                    Value::object(
                        ObjectKind::Geo,
                        alloc::vec![
                            ("AutonomousSystemNumber", Value::Int(i64::from(asn.number))),
                            ("AutonomousSystemOrganization", Value::shared(asn.org)),
                        ],
                    )
                }))
            }
            F::GeoIpRangeEnrich => {
                let ip = self.ip(args)?;
                let network = self.outside.asn(ip).and_then(|asn| asn.network);
                Ok(match network {
                    Some(network) => self.literal(&alloc::format!("{network}")),
                    None => Value::Nil,
                })
            }
            // These ask services that an engine alone does not have. Saying so is an error of the
            // expression, never a guess.
            F::CrowdsecCti => Err(args.missing("threat intelligence is not configured")),
            F::HttpGet | F::HttpHead | F::HttpPost | F::HttpRequest => {
                Err(args.missing("rules may not make requests in this engine"))
            }
            F::MatchKnownBot => Err(args.missing("no list of known bots is loaded")),
            F::Ja4h | F::LibInjectionIsSqli | F::LibInjectionIsXss => {
                Err(args.missing("only available where requests are inspected"))
            }
            _ => Err(args.misused()),
        }
    }

    fn ip(&self, args: &Args<'_>) -> Eval<IpAddr> {
        let text = args.str(0, self)?;
        net::parse_ip(text).ok_or_else(|| args.failed("not an address"))
    }
}
