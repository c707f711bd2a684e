use super::SHIPPED;
use crate::grok::{Definition, Registry, pattern_lines};
use syntax::{Sources, Span};

/// The fields of `%{name}` after it matched `text`, empty ones left out; `None`: it does not match.
fn fields(name: &str, text: &str) -> Option<Vec<(String, String)>> {
    let expanded = Registry::with_stand_ins().expand(&format!("%{{{name}}}")).unwrap();
    let groups: Vec<_> = expanded.fields.iter().map(|(_, group)| group.as_str()).collect();
    let regex = re2::Regex::with_groups(&expanded.regex, &groups).unwrap();
    let mut slots = vec![None; groups.len()];
    if !regex.captures(&mut re2::Cache::new(), text, &mut slots) {
        return None;
    }
    let value = |slot: Option<(u32, u32)>| {
        slot.map_or("", |(start, end)| &text[start as usize..end as usize]).to_owned()
    };
    let names = expanded.fields.iter().map(|(field, _)| field.clone());
    let all = names.zip(slots.into_iter().map(value));
    Some(all.filter(|(_, value)| !value.is_empty()).collect())
}

/// Checks some of the fields.
fn check(name: &str, text: &str, expect: &[(&str, &str)]) {
    let found = fields(name, text).unwrap_or_else(|| panic!("{name} does not match {text:?}"));
    for (field, value) in expect {
        let here = found.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str());
        assert_eq!(here, Some(*value), "{name}:{field} on {text:?}");
    }
}

fn check_none(name: &str, text: &str) {
    assert_eq!(fields(name, text), None, "{name} on {text:?}");
}

#[test]
fn every_definition_is_a_regex_by_itself_and_new() {
    let mut registry = Registry::with_stand_ins();
    let base = Registry::base();
    let mut seen = Vec::new();
    for (file, text) in SHIPPED {
        for line in pattern_lines(text) {
            let name = &text[line.name];
            assert!(base.definition(name).is_none(), "{file}: everyone has {name}");
            assert!(!seen.contains(&name), "{file}: {name} is there twice");
            registry.expand(&format!("%{{{name}}}")).unwrap();
            seen.push(name);
        }
        // What looks like a definition and is none would be a silent comment.
        let n_comments =
            text.lines().filter(|line| line.is_empty() || line.starts_with('#')).count();
        assert_eq!(text.lines().count() - n_comments, pattern_lines(text).count(), "{file}");
    }
    assert!(seen.len() > 80, "{}", seen.len());
}

#[test]
fn a_definition_replaces_what_stands_in_and_may_refer_to_it() {
    let mut sources = Sources::new();
    let file = sources.add("patterns/mine".to_owned(), String::new());
    let at = Span::new(file, 0, 0);
    let mut registry = Registry::with_stand_ins();
    let n_names = registry.names().count();
    let text = "%{NGUSER}|[0-9]+";
    assert_eq!(registry.define("NGUSER", text, at), Ok(Definition::New));
    assert_eq!(registry.definition("NGUSER"), Some(text));
    let expanded = registry.expand("^%{NGUSER:user}$").unwrap();
    let regex = re2::Regex::new(&expanded.regex).unwrap();
    let mut cache = re2::Cache::new();
    assert!(regex.is_match(&mut cache, "root") && regex.is_match(&mut cache, "123"));
    assert_eq!(registry.names().count(), n_names);
    // It does not stand in any more.
    assert!(matches!(registry.define("NGUSER", "x", at), Ok(Definition::Known { .. })));
}

#[test]
fn syslog_lines() {
    check(
        "SYSLOGLINE",
        "Feb  2 14:10:21 sd-126005 sshd[16378]: Invalid user a",
        &[
            ("timestamp", "Feb  2 14:10:21"),
            ("logsource", "sd-126005"),
            ("program", "sshd"),
            ("pid", "16378"),
            ("message", "Invalid user a"),
        ],
    );
    check(
        "SYSLOGLINE",
        "2024-03-01T10:11:12.5+01:00 host.example.org CRON[7]: (root) CMD (true)",
        &[("timestamp8601", "2024-03-01T10:11:12.5+01:00"), ("program", "CRON")],
    );
    // Without a program the rest is the message.
    check("SYSLOGLINE", "Feb 12 14:10:21 host said so", &[("message", "said so")]);
    check_none("SYSLOGLINE", "12 Feb 14:10:21 host x: y");
    check(
        "CRONLOG",
        "Feb 12 14:10:21 host CRON[7]: (root) CMD (test -x /usr/sbin/x)",
        &[("user", "root"), ("action", "CMD"), ("message", "test -x /usr/sbin/x")],
    );
    check(
        "SYSLOGPAMSESSION",
        "Feb 12 14:10:21 h su[7]: pam_unix(su:session): session opened for user a by b(uid=0)",
        &[("pam_module", "pam_unix"), ("username", "a"), ("pam_by", "b(uid=0)")],
    );
    check(
        "SYSLOG5424LINE",
        r#"<34>1 2003-10-11T22:14:15.003Z mymachine.example su - ID47 [a@1 k="\"]"] 'su' failed"#,
        &[
            ("syslog5424_pri", "34"),
            ("syslog5424_host", "mymachine.example"),
            ("syslog5424_msgid", "ID47"),
            ("syslog5424_sd", r#"[a@1 k="\"]"]"#),
            ("syslog5424_msg", "'su' failed"),
        ],
    );
}

#[test]
fn failed_logins() {
    check(
        "SSHD_FAIL",
        "Failed password for invalid user admin from 192.0.2.7 port 22 ssh2",
        &[
            ("sshd_auth_type", "password"),
            ("sshd_invalid_user", "admin"),
            ("sshd_client_ip", "192.0.2.7"),
            ("sshd_port", "22"),
            ("sshd_protocol", "ssh2"),
        ],
    );
    check(
        "SSHD_USER_FAIL",
        "Failed keyboard-interactive/pam for root from 2001:db8::7 port 22 ssh2",
        &[("sshd_invalid_user", "root"), ("sshd_client_ip", "2001:db8::7")],
    );
    check(
        "SSHD_USER_FAIL",
        "Failed publickey for root from 192.0.2.7 port 22 ssh2: RSA SHA256:abc/+9",
        &[("sshd_client_ip", "192.0.2.7")],
    );
    check(
        "SSHD_USER_FAIL",
        "message repeated 5 times: [ Failed password for root from 192.0.2.7 port 22 ssh2]",
        &[("sshd_client_ip", "192.0.2.7")],
    );
    check(
        "SSHD_FAIL",
        "Failed password for invalid user  from 192.0.2.7 port 22 ssh2",
        &[("sshd_client_ip", "192.0.2.7")],
    );
    check_none("SSHD_USER_FAIL", "Failed password for invalid user a from 192.0.2.7 port 2 ssh2");
}

#[test]
fn user_names_do_not_choose_who_is_blamed() {
    let forged = "x from 203.0.113.1 port 1 ssh2: RSA SHA256:y";
    check(
        "SSHD_FAIL",
        &format!("Failed none for invalid user {forged} from 192.0.2.7 port 22 ssh2"),
        &[("sshd_invalid_user", forged), ("sshd_client_ip", "192.0.2.7")],
    );
    for user in ["Failed none for root from 203.0.113.1 port 1 ssh2", forged] {
        check(
            "SSHD_INVAL_USER",
            &format!("Invalid user {user} from 192.0.2.7 port 22"),
            &[("sshd_client_ip", "192.0.2.7")],
        );
        check_none("SSHD_USER_FAIL", &format!("Invalid user {user} from 192.0.2.7 port 22"));
    }
    check(
        "SSHD_BAD_VERSION",
        "Bad protocol version identification '' from 203.0.113.1 port 1' from 192.0.2.7 port 22",
        &[("sshd_client_ip", "192.0.2.7")],
    );
    let smb = |user: &str| {
        format!(
            r"Auth: [SMB2,(null)] user [W]\[{user}] at [Thu] with [NTLMv2] status [NT_STATUS_NO_SUCH_USER] workstation [M] remote host [ipv4:192.0.2.7:44890] mapped to [W]\[{user}]. local host [ipv4:192.0.2.1:445]"
        )
    };
    check(
        "SMB_AUTH_FAIL",
        &smb("a"),
        &[("user", "a"), ("smb_domain", "W"), ("ip_source", "192.0.2.7")],
    );
    let forged = "x] status [NT_STATUS_NO_SUCH_USER] workstation [M] remote host [ipv4:203.0.113.1";
    check_none("SMB_AUTH_FAIL", &smb(forged));
}

#[test]
fn other_words_of_sshd() {
    let privsep =
        [("sshd_client_ip", "192.0.2.7"), ("sshd_port", "22"), ("sshd_privsep", "preauth")];
    check("SSHD_DISC_PREAUTH", "Disconnected from 192.0.2.7 port 22 [preauth]", &privsep);
    check("SSHD_CLOS_PREAUTH", "Connection closed by 192.0.2.7 port 22 [preauth]", &privsep);
    check("SSHD_REST_PREAUTH", "Connection reset by 192.0.2.7 port 22 [preauth]", &privsep);
    let text = "Unable to negotiate with 192.0.2.7 port 22: no matching cipher found [preauth]";
    check("SSHD_FAIL_PREAUTH", text, &privsep);
    check("SSHD_FAIL_PREAUTH", text, &[("sshd_disconnect_status", "no matching cipher found")]);
    check(
        "SSHD_FAI2_PREAUTH",
        &format!("fatal: {text}"),
        &[("sshd_fatal_status", "Unable to negotiate with"), ("sshd_client_ip", "192.0.2.7")],
    );
    check(
        "SSHD_MAXE_PREAUTH",
        "error: maximum authentication attempts exceeded for root from 192.0.2.7 port 22 ssh2 [preauth]",
        &[("sshd_invalid_user", "root"), ("sshd_privsep", "preauth")],
    );
    check(
        "SSHD_SUCCESS",
        "Accepted publickey for root from 192.0.2.7 port 22 ssh2: RSA SHA256:x",
        &[("sshd_user", "root"), ("sshd_cipher", "RSA SHA256:x")],
    );
    check(
        "SSHD_DISCONNECT",
        "Received disconnect from 192.0.2.7 port 22:11: Bye Bye",
        &[("sshd_disconnect_code", "11"), ("sshd_disconnect_status", "Bye Bye")],
    );
    check("SSHD_INIT", "Server listening on 0.0.0.0 port 22.", &[("sshd_listen_port", "22")]);
    check("SSHD_LOG", "Server listening on 0.0.0.0 port 22.", &[]);
    check("SSHD_CORRUPTED", "Bad protocol version identification 'GET /' from 192.0.2.7", &[]);
    check(
        "SSHD_TCPWRAP_FAIL1",
        "warning: /etc/hosts.allow, line 12: can't verify hostname: getaddrinfo(a.example, AF_INET) failed",
        &[("sshd_tcpd_file", "/etc/hosts.allow"), ("sshd_sa_family", "AF_INET")],
    );
    check(
        "SSHD_RMAP_FAIL",
        "reverse mapping checking getaddrinfo for a.example [192.0.2.7] failed - POSSIBLE BREAK-IN ATTEMPT!",
        &[("sshd_client_hostname", "a.example"), ("sshd_client_ip", "192.0.2.7")],
    );
}

#[test]
fn web_servers() {
    check(
        "NGINXACCESS",
        r#"192.0.2.7 - - [01/Mar/2024:10:11:12 +0000] "GET /a?b=c HTTP/1.1" 404 153 "-" "curl/8""#,
        &[("remote_addr", "192.0.2.7"), ("request", "/a?b=c"), ("http_user_agent", "curl/8")],
    );
    check(
        "NGINXERROR",
        r#"2024/03/01 10:11:12 [error] 12#34: *56 open() "/x" failed, client: 192.0.2.7"#,
        &[("time", "2024/03/01 10:11:12"), ("pid", "12"), ("tid", "34"), ("cid", "56")],
    );
    check(
        "HAPROXYDATE",
        "14/Jan/2015:12:48:57.127",
        &[("haproxy_monthday", "14"), ("haproxy_second", "57.1"), ("haproxy_milliseconds", "7")],
    );
    let base = r#"192.0.2.7:14853 [14/Jan/2015:12:48:57.127] in~ b/n1 170/0/0/3/173 200 739 - - --NN 0/0/0/0/0 0/0 {a|b} {c} "GET /x HTTP/1.1""#;
    check(
        "HAPROXYHTTP",
        &format!("Jan 14 12:48:57 lb haproxy[8]: {base}"),
        &[
            ("client_ip", "192.0.2.7"),
            ("program", "haproxy"),
            ("captured_request_headers", "a|b"),
            ("captured_response_headers", "c"),
            ("http_request", "/x"),
        ],
    );
    check(
        "HAPROXYTCP",
        "Jan 14 12:48:57 lb haproxy[8]: 192.0.2.7:1 [14/Jan/2015:12:48:57.127] f b/s 0/0/10 20 -- 1/1/1/1/0 0/0",
        &[("bytes_read", "20"), ("termination_state", "--"), ("backend_queue", "0")],
    );
    check(
        "MODSECAPACHEERROR",
        r#"[Thu Sep 30 13:27:06.009964 2021] [:error] [pid 2560:tid 14] [client 192.0.2.7:37752] [client 192.0.2.7] ModSecurity: Warning. Matched. [file "/r.conf"] [line "29"] [id "930100"] [msg "Path "x" Attack"] [severity "CRITICAL"] [ver "OWASP/3"] [tag "a"] [tag "b"] [hostname "www.example.org"] [uri "/"] [unique_id "YVW6"]"#,
        &[
            ("sourcehost", "192.0.2.7"),
            ("modsecseverity", "Warning"),
            ("ruleid", "930100"),
            ("rulemessage", "Path \"x\" Attack"),
            ("ruletag1", "b"),
            ("targethost", "www.example.org"),
            ("uniqueid", "YVW6"),
        ],
    );
    check(
        "NAXSI_EXLOG",
        "NAXSI_EXLOG: ip=192.0.2.7&server=www.example.org&uri=%2Fa%28&id=1302&zone=ARGS&var_name=q&content=%3C, client: 192.0.2.7",
        &[("naxsi_src_ip", "192.0.2.7"), ("http_path", "%2Fa%28"), ("naxsi_id", "1302")],
    );
    check(
        "NAXSI_FMT",
        "NAXSI_FMT: ip=192.0.2.7&server=192.0.2.1&uri=/&learning=0&vers=0.56&total_processed=2&total_blocked=1&block=1&cscore0=$XSS&score0=8&zone0=ARGS&id0=1302&var_name0=q, client: x",
        &[("src_ip", "192.0.2.7"), ("score_label", "XSS"), ("score", "8"), ("zone", "ARGS")],
    );
}

#[test]
fn other_services() {
    check(
        "MYSQL_AUTH_FAIL",
        "2024-03-01T10:11:12.123456Z 8 [Note] [MY-010926] [Server] Access denied for user 'root'@'192.0.2.7' (using password: YES)",
        &[("user", "root"), ("source_ip", "192.0.2.7"), ("using_password", "YES")],
    );
    check(
        "TCPDUMP_OUTPUT",
        "11:29:42.550475 IP 192.0.2.7.43436 > 198.51.100.1.22: Flags [S.], seq 1, length 0",
        &[("timestamp", "11:29:42.550475"), ("source_port", "43436"), ("tcpflags", "S.")],
    );
    check(
        "TCPDUMP_OUTPUT",
        "11:29:42.550475 IP6 2001:db8::7.43436 > 2001:db8::1.22: Flags [S], seq 1, length 0",
        &[("source_ip", "2001:db8::7"), ("dest_port", "22")],
    );
    check(
        "COWRIE_NEW_CO",
        "[cowrie.ssh.factory] New connection: 192.0.2.7:47630 (198.51.100.1:2222) [session: 3e5a]",
        &[("source_ip", "192.0.2.7"), ("dest_port", "2222"), ("telnet_session", "3e5a")],
    );
}
