//! The server as callers see it: real sockets, a real client, a database in a temporary directory.
//!
//! `sandbox` starts servers; `access` asks every route of the table as everybody who may not;
//! `golden` holds the answers byte for byte; `traps` are the quirks bouncers and agents rely on,
//! `load` those that are about many and much; `feed` is the feed; `limits` are those of sizes and
//! of patience; `protocols` are the versions of HTTP; `secure` is TLS; `description` compares the
//! OpenAPI document with the table.
//!
//! The traps of our checklist, and where each is tested:
//!
//! | trap | test |
//! |---|---|
//! | 1 nothing is `null` | `traps::trap_01_nothing_is_null_with_its_length` |
//! | 2 bad keys are 403 | `traps::trap_02_bad_keys_are_403`, all of `access` |
//! | 3 HEAD changes nothing | `traps::trap_03_head_changes_nothing` |
//! | 4 both lists, no gzip | `traps::trap_04_the_stream_always_has_both_lists` |
//! | 5 whole seconds, never zero | `traps::trap_05_no_lifetime_is_zero` |
//! | 6 covered is not deleted | `traps::trap_06_what_is_still_covered_is_not_deleted` |
//! | 7 deletions repeat all words | `traps::trap_07_what_ends_is_told_as_it_began` |
//! | 8 one spelling | `traps::trap_08_scopes_and_types_have_one_spelling` |
//! | 9 startup repeats itself | `traps::trap_09_startup_repeats_itself` |
//! | 10 who hangs up | `traps::trap_10_who_hangs_up_is_told_again` |
//! | 11 unknown words | `traps::trap_11_unknown_words_are_ignored` |
//! | 12 reports | `traps::trap_12_reports_come_in_many_forms` |
//! | 13 user agents | `traps::trap_13_any_user_agent_will_do_for_bouncers` |
//! | 14 blocklists | `traps::trap_14_blocklists_keep_their_names` |
//! | 15 longer bans | `traps::trap_15_a_longer_ban_is_told_and_the_shorter_ends_in_silence` |
//! | 16 never seen, taken back | `traps::trap_16_what_was_never_seen_can_be_taken_back` |
//! | 17 networks | `traps::trap_17_networks_have_one_spelling` |
//! | 18 large startups | `load::trap_18_large_startups_are_told_in_pieces` |
//! | 19 many that poll | `load::trap_19_asking_for_nothing_costs_nothing` |
//! | 20 clocks | `traps::trap_20_lifetimes_are_told_by_the_clock_of_the_answer` |
//! | 21 AppSec | none: there is no AppSec component yet |
//! | 22 shared keys | `traps::trap_22_hosts_that_share_a_key_have_places_of_their_own` |
//! | 23 words of the command line | the command line's tests, in the binary's crate |
//! | 24 certificates | `secure::trap_24_certificates_open_doors` and the rest of `secure` |
//! | 25 old and slow clients | `traps::trap_25_old_and_patient_clients_are_served`, `load::trap_25_slow_readers_are_waited_for` |
#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod access;
mod description;
mod feed;
mod golden;
mod limits;
mod load;
mod protocols;
mod sandbox;
mod secure;
mod traps;
