//! Rules for a part of what [`testkit::loggen`] writes: every kind of bucket, both clocks, and all that
//! could carry something over from one line to another.

/// Stages, their parsers.
pub(crate) const PARSERS: &[(&str, &str)] =
    &[("s00-raw", RAW), ("s01-parse", SERVICES), ("s02-enrich", ENRICH)];

const RAW: &str = r#"
name: test/syslog
filter: evt.Line.Labels.type == 'syslog'
onsuccess: next_stage
grok:
  apply_on: Line.Raw
  pattern: '^%{SYSLOGTIMESTAMP:time} %{HOSTNAME:host} %{PROG:program}(?:\[%{POSINT:pid}\])?: %{GREEDYDATA:message}$'
statics:
  - { target: evt.StrTime, expression: evt.Parsed.time }
---
name: test/others
filter: evt.Line.Labels.type != 'syslog'
onsuccess: next_stage
statics:
  - { parsed: program, expression: evt.Line.Labels.type }
"#;

const SERVICES: &str = r#"
name: test/sshd
filter: evt.Parsed.program == 'sshd'
onsuccess: next_stage
statics:
  - { meta: service, value: ssh }
  - { meta: source_ip, expression: evt.Parsed.ip }
  - { meta: user, expression: evt.Parsed.user }
nodes:
  - grok: { apply_on: message, pattern: '^Failed password for (?:invalid user )?%{USERNAME:user} from %{IP:ip} port' }
    statics: [{ meta: what, value: failed }]
  - grok: { apply_on: message, pattern: '^(?:Disconnected from|Connection closed by) (?:authenticating|invalid) user %{USERNAME:user} %{IP:ip} port' }
    statics: [{ meta: what, value: dropped }]
  - grok: { apply_on: message, pattern: '^Accepted publickey for %{USERNAME:user} from %{IP:ip} port' }
    statics: [{ meta: what, value: accepted }]
---
name: test/mail
filter: evt.Parsed.program startsWith 'postfix/' or evt.Parsed.program == 'dovecot'
onsuccess: next_stage
statics:
  - { meta: service, value: mail }
  - { meta: source_ip, expression: evt.Parsed.ip }
nodes:
  - grok: { apply_on: message, pattern: '^warning: [^\[]*\[%{IP:ip}\]: SASL %{WORD:method} authentication failed' }
  - grok: { apply_on: message, pattern: '^(?:imap|pop3)-login: .*\(auth failed.*user=<%{DATA:user}>.*rip=%{IP:ip},' }
---
name: test/firewall
filter: evt.Parsed.program == 'kernel' && evt.Parsed.message contains ' DROP '
onsuccess: next_stage
grok: { apply_on: message, pattern: 'SRC=%{IPV4:ip} .* DPT=%{INT:port} ' }
statics:
  - { meta: service, value: firewall }
  - { meta: source_ip, expression: evt.Parsed.ip }
  - { meta: port, expression: evt.Parsed.port }
---
name: test/web
filter: evt.Parsed.program in ['nginx', 'apache2', 'traefik']
onsuccess: next_stage
grok:
  apply_on: Line.Raw
  pattern: '^%{IP:ip} - - \[%{HTTPDATE:time}\] "%{WORD:verb} %{NOTSPACE:path} HTTP/%{NUMBER:version}" %{INT:status} %{INT:bytes} "%{DATA:referrer}" "%{DATA:agent}"'
statics:
  - { meta: service, value: web }
  - { meta: source_ip, expression: evt.Parsed.ip }
  - { meta: path, expression: PathUnescape(evt.Parsed.path) }
  - { meta: status, expression: evt.Parsed.status }
  - { meta: agent, expression: evt.Parsed.agent }
  - { target: evt.StrTime, expression: evt.Parsed.time }
---
name: test/cloud
filter: evt.Parsed.program == 'Nextcloud' && UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'j') in ['', nil]
onsuccess: next_stage
statics:
  - { meta: service, value: cloud }
  - { meta: source_ip, expression: evt.Unmarshaled.j.remoteAddr }
  - { meta: what, expression: "JsonExtract(evt.Line.Raw, 'message')" }
  - { target: evt.StrTime, expression: evt.Unmarshaled.j.time }
"#;

const ENRICH: &str = r#"
name: test/dates
filter: evt.StrTime != ''
statics:
  - { method: ParseDate, expression: evt.StrTime }
  - { target: evt.MarshaledTime, expression: evt.Enriched.MarshaledTime }
---
name: test/geo
filter: "'source_ip' in evt.Meta"
statics:
  - { method: GeoIpCity, expression: evt.Meta.source_ip }
  - { method: GeoIpASN, expression: evt.Meta.source_ip }
  - { method: IpToRange, expression: evt.Meta.source_ip }
  - { meta: SourceRange, expression: evt.Enriched.SourceRange }
---
name: test/staff
whitelist: { reason: staff, expression: ["evt.Meta.user == 'erin'"] }
"#;

/// Answers about addresses.
pub(crate) const WORLD: &str = "\
0.0.0.0/2 country=AA lat=10 lon=20 as=64496 org=First
64.0.0.0/2 country=BB eu lat=-10 lon=30 as=64497 org=Second
192.0.0.0/2 country=CC as=64498
";

pub(crate) const ROBOTS: &str = "Nikto\nsqlmap\nmasscan\nZmEu\n";

pub(crate) const INJECTIONS: &str = "union +select\n(?i)<(?:script|svg)\npg_sleep\\(\n";

pub(crate) const POSTOVERFLOWS: &str = r#"
name: test/neighbors
filter: evt.Overflow.Alert.Scenario == 'test/robots'
statics:
  - { target: evt.Overflow.Alert.Source.Scope, value: Range }
  - { target: evt.Overflow.Alert.Source.Value, expression: "IpToRange(evt.Overflow.Alert.Source.IP, '24')" }
---
name: test/country
whitelist: { reason: country, expression: ["evt.Overflow.Alert.Source.Cn == 'AA' && evt.Overflow.Alert.Scenario == 'test/crawl'"] }
"#;

pub(crate) const CONTEXT: &str = "user: [evt.Meta.user]\npath: [evt.Meta.path, evt.Meta.port]\n";

pub(crate) const SCENARIOS: &str = r#"
type: leaky
name: test/ssh-bf
description: passwords guessed
filter: evt.Meta.service == 'ssh' && evt.Meta.what in ['failed', 'dropped']
groupby: evt.Meta.source_ip
capacity: 5
leakspeed: 10s
blackhole: 1m
reprocess: true
labels: { remediation: true }
---
type: leaky
name: test/ssh-users
description: names guessed
filter: evt.Meta.service == 'ssh' && evt.Meta.what == 'failed'
groupby: evt.Meta.source_ip
distinct: evt.Meta.user
capacity: 3
leakspeed: 20s
---
type: leaky
name: test/ssh-slow
description: passwords guessed until one fits
filter: evt.Meta.service == 'ssh'
groupby: evt.Enriched.IsoCode
cancel_on: evt.Meta.what == 'accepted'
capacity: 12
leakspeed: 60s
---
type: leaky
name: test/mail-bf
description: passwords guessed
filter: evt.Meta.service == 'mail'
groupby: evt.Meta.source_ip
overflow_filter: len(queue.Queue) > 3 and not (signal.Alert.Source.IP endsWith '7')
capacity: 3
leakspeed: 30s
---
type: leaky
name: test/ports
description: ports knocked at
filter: evt.Meta.service == 'firewall'
groupby: evt.Meta.source_ip
distinct: evt.Meta.port
capacity: 10
leakspeed: 5s
---
type: leaky
name: test/probing
description: paths tried
filter: evt.Meta.status in ['400', '403', '404']
groupby: evt.Meta.source_ip
distinct: Lower(evt.Meta.path)
capacity: 5
leakspeed: 5s
---
type: leaky
name: test/crawl
description: everything read
filter: evt.Meta.status == '200' && evt.Meta.path contains '/catalog/'
groupby: evt.Meta.source_ip + '/' + evt.Meta.service
capacity: 20
cache_size: 5
leakspeed: 500ms
---
type: trigger
name: test/robots
description: tools by their names
filter: "any(File('robots.txt'), { evt.Meta.agent contains # })"
groupby: evt.Meta.source_ip
blackhole: 2m
---
type: leaky
name: test/injection
description: injections
filter: RegexpInFile(evt.Meta.path, 'injections.txt')
groupby: evt.Meta.SourceRange
capacity: 3
leakspeed: 10s
scope: { type: Range }
---
type: conditional
name: test/mixed
description: some found, some not
filter: evt.Meta.service == 'web'
groupby: evt.Meta.source_ip
capacity: -1
cache_size: 30
leakspeed: 20s
condition: "count(queue.Queue, { .Meta.status == '404' }) >= 3 and any(queue.Queue, { .Meta.status == '403' })"
---
type: bayesian
name: test/odds
description: what looks evil
filter: evt.Meta.service == 'web'
groupby: evt.Meta.source_ip
capacity: -1
leakspeed: 30s
bayesian_prior: 0.2
bayesian_threshold: 0.9
bayesian_conditions:
  - { condition: "evt.Meta.status in ['400', '403', '404']", prob_given_evil: 0.8, prob_given_benign: 0.1 }
  - { condition: evt.Meta.path contains '..', prob_given_evil: 0.6, prob_given_benign: 0.001, guillotine: true }
---
type: counter
name: test/count
description: paths of half a minute
filter: evt.Line.Labels.type == 'traefik' && evt.Meta.service == 'web'
groupby: evt.Enriched.IsoCode
distinct: evt.Meta.path
capacity: -1
cache_size: 4
duration: 30s
---
type: leaky
name: test/everyone
description: many at once
filter: evt.Meta.service == 'cloud' && evt.Meta.what contains 'Bruteforce'
capacity: 6
leakspeed: 30s
---
type: leaky
name: test/again
description: countries that guess and guess
filter: evt.GetType() == 'overflow' && evt.Overflow.Alert.Scenario == 'test/ssh-bf'
groupby: evt.Overflow.Alert.Source.Cn
capacity: 2
leakspeed: 1h
"#;
