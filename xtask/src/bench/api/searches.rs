//! Lists and searches that find little in much: through the API, and with the command line.

use anyhow::Result;

use super::parts::address;
use super::subject::Subject;
use super::table::{Table, Target};

/// Nobody should have to wait for longer.
const MOST: Target = Target::AtMost(100.0);
/// Each is asked so many times; the middle one counts.
const N_TIMES: usize = 5;

/// What bouncers may ask.
const LISTS: [&str; 10] = [
    "range=10.20.0.0/16&contains=false",
    "ip=192.0.2.1",
    "type=captcha",
    "type=none-such",
    "origins=none-such",
    "origins=lists&limit=100",
    "scopes=Country",
    "scenarios_containing=scenario-7&limit=100",
    "scenarios_not_containing=list&limit=100",
    "limit=1000",
];

/// What people ask on the command line; `{ip}` and `{old}` are addresses of the present and the past.
const CALLS: [&str; 14] = [
    "decisions list",
    "decisions list --ip {ip}",
    "decisions list --range 10.20.0.0/16 --contained",
    "decisions list --scenario crowdsecurity/scenario-7",
    "decisions list --type captcha",
    "decisions list --origin crowdsec",
    "decisions list --origin none-such",
    "decisions list --since 1h",
    "alerts list",
    "alerts list --ip {ip}",
    "alerts list --ip {old}",
    "alerts list --scenario crowdsecurity/scenario-7",
    "alerts list --since 12h",
    "alerts list --until 72h",
];

fn median(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut times = (0..N_TIMES).map(|_| once()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[N_TIMES / 2])
}

/// Asks everything. Of the addresses with the first `n_active` numbers, the last tenth has alerts of
/// its own; the addresses of the past follow.
pub(super) fn run(subject: &Subject<'_>, n_active: u32, table: &mut Table) -> Result<()> {
    for query in LISTS {
        let path = format!("/v1/decisions?{query}");
        let took = median(|| Ok(subject.get(&path, &subject.key)?.1))?;
        table.note(subject.whose, &format!("GET decisions?{query}"), "ms", MOST, took);
    }
    let present = address(n_active.saturating_sub(5)).to_string();
    let past = address(n_active.saturating_add(12_345)).to_string();
    for call in CALLS {
        let line = call.replace("{ip}", &present).replace("{old}", &past);
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["-o", "json"]);
        let took = median(|| subject.tool(&arguments))?;
        table.note(subject.whose, &format!("cli: {call}"), "ms", MOST, took);
    }
    Ok(())
}
