//! Single settings in the spelling of Go programs.
//!
//! COMPAT(crowdsec): packages compare what this prints with `nil` and with plain texts, so pointers
//! show as `&true` and structures as `&csconfig.Name{…}`.

use crate::config::{Settings, raw_value};
use anyhow::{Result, bail};
use syntax::yaml::Yaml;

/// How Go holds a setting.
#[derive(Clone, Copy)]
enum Held {
    /// A text; empty when absent.
    Text,
    /// A text that is this one when absent.
    TextOr(&'static str),
    /// A number.
    Number,
    /// A number that is this one when absent.
    NumberOr(u32),
    /// A pointer to a number.
    NumberPointer,
    /// A list of texts.
    List,
    /// A boolean.
    Flag,
    /// A pointer to a boolean.
    FlagPointer,
    /// A pointer to a structure of this name.
    Struct(&'static str),
    /// The number of a level of severity.
    Level,
}

/// Go's name, the path in the file, how it is held.
const KEYS: &[(&str, &str, Held)] = &[
    ("Common", "common", Held::Struct("csconfig.CommonCfg")),
    ("Common.Daemonize", "common.daemonize", Held::Flag),
    ("Common.PidDir", "common.pid_dir", Held::Text),
    ("Common.LogMedia", "common.log_media", Held::TextOr("stdout")),
    ("Common.LogDir", "common.log_dir", Held::Text),
    ("Common.LogLevel", "common.log_level", Held::Level),
    ("Common.LogFormat", "common.log_format", Held::Text),
    ("Common.WorkingDir", "common.working_dir", Held::Text),
    ("Common.CompressLogs", "common.compress_logs", Held::FlagPointer),
    ("Common.LogMaxSize", "common.log_max_size", Held::Number),
    ("Common.LogMaxAge", "common.log_max_age", Held::Number),
    ("Common.LogMaxFiles", "common.log_max_files", Held::Number),
    ("Common.ForceColorLogs", "common.force_color_logs", Held::Flag),
    ("Prometheus", "prometheus", Held::Struct("csconfig.PrometheusCfg")),
    ("Prometheus.Enabled", "prometheus.enabled", Held::Flag),
    ("Prometheus.Level", "prometheus.level", Held::Text),
    ("Prometheus.ListenAddr", "prometheus.listen_addr", Held::TextOr("127.0.0.1")),
    ("Prometheus.ListenPort", "prometheus.listen_port", Held::NumberOr(6060)),
    ("Crowdsec", "crowdsec_service", Held::Struct("csconfig.CrowdsecServiceCfg")),
    ("Crowdsec.Enable", "crowdsec_service.enable", Held::FlagPointer),
    ("Crowdsec.AcquisitionFilePath", "crowdsec_service.acquisition_path", Held::Text),
    ("Crowdsec.AcquisitionDirPath", "crowdsec_service.acquisition_dir", Held::Text),
    ("Crowdsec.ConsoleContextPath", "crowdsec_service.console_context_path", Held::Text),
    (
        "Crowdsec.ConsoleContextValueLength",
        "crowdsec_service.console_context_value_length",
        Held::Number,
    ),
    ("Crowdsec.ParserRoutinesCount", "crowdsec_service.parser_routines", Held::Number),
    ("Crowdsec.BucketsRoutinesCount", "crowdsec_service.buckets_routines", Held::Number),
    ("Crowdsec.OutputRoutinesCount", "crowdsec_service.output_routines", Held::Number),
    ("Crowdsec.BucketStateFile", "crowdsec_service.state_input_file", Held::Text),
    ("Crowdsec.BucketStateDumpDir", "crowdsec_service.state_output_dir", Held::Text),
    ("Cscli", "cscli", Held::Struct("csconfig.CscliCfg")),
    ("Cscli.Output", "cscli.output", Held::Text),
    ("Cscli.Color", "cscli.color", Held::Text),
    ("Cscli.HubBranch", "cscli.hub_branch", Held::Text),
    ("Cscli.HubWithContent", "cscli.hub_with_content", Held::Flag),
    ("Cscli.PrometheusUrl", "cscli.prometheus_uri", Held::Text),
    ("DbConfig", "db_config", Held::Struct("csconfig.DatabaseCfg")),
    ("DbConfig.User", "db_config.user", Held::Text),
    ("DbConfig.Password", "db_config.password", Held::Text),
    ("DbConfig.DbName", "db_config.db_name", Held::Text),
    ("DbConfig.Sslmode", "db_config.sslmode", Held::Text),
    ("DbConfig.SSLCACert", "db_config.ssl_ca_cert", Held::Text),
    ("DbConfig.SSLClientCert", "db_config.ssl_client_cert", Held::Text),
    ("DbConfig.SSLClientKey", "db_config.ssl_client_key", Held::Text),
    ("DbConfig.Host", "db_config.host", Held::Text),
    ("DbConfig.Port", "db_config.port", Held::Number),
    ("DbConfig.DbPath", "db_config.db_path", Held::Text),
    ("DbConfig.Type", "db_config.type", Held::Text),
    ("DbConfig.Flush", "db_config.flush", Held::Struct("csconfig.FlushDBCfg")),
    ("DbConfig.LogLevel", "db_config.log_level", Held::Level),
    ("DbConfig.MaxOpenConns", "db_config.max_open_conns", Held::Number),
    ("DbConfig.UseWal", "db_config.use_wal", Held::FlagPointer),
    ("DbConfig.DecisionBulkSize", "db_config.decision_bulk_size", Held::Number),
    ("DbConfig.Flush.MaxItems", "db_config.flush.max_items", Held::NumberPointer),
    ("DbConfig.Flush.MaxAge", "db_config.flush.max_age", Held::Text),
    ("DbConfig.Flush.MetricsMaxAge", "db_config.flush.metrics_max_age", Held::Text),
    ("API", "api", Held::Struct("csconfig.APICfg")),
    ("API.Client", "api.client", Held::Struct("csconfig.LocalApiClientCfg")),
    ("API.Client.CredentialsFilePath", "api.client.credentials_path", Held::Text),
    ("API.Client.InsecureSkipVerify", "api.client.insecure_skip_verify", Held::FlagPointer),
    ("API.Client.UnregisterOnExit", "api.client.unregister_on_exit", Held::Flag),
    ("API.Server", "api.server", Held::Struct("csconfig.LocalApiServerCfg")),
    ("API.Server.Enable", "api.server.enable", Held::FlagPointer),
    ("API.Server.ListenURI", "api.server.listen_uri", Held::Text),
    ("API.Server.ListenSocket", "api.server.listen_socket", Held::Text),
    ("API.Server.ProfilesPath", "api.server.profiles_path", Held::Text),
    ("API.Server.ConsoleConfigPath", "api.server.console_path", Held::Text),
    ("API.Server.LogLevel", "api.server.log_level", Held::Level),
    ("API.Server.PapiLogLevel", "api.server.papi_log_level", Held::Level),
    ("API.Server.UseForwardedForHeaders", "api.server.use_forwarded_for_headers", Held::Flag),
    ("API.Server.TrustedProxies", "api.server.trusted_proxies", Held::List),
    ("API.Server.TrustedIPs", "api.server.trusted_ips", Held::List),
    (
        "API.Server.DisableRemoteLapiRegistration",
        "api.server.disable_remote_lapi_registration",
        Held::Flag,
    ),
    ("API.Server.DisableUsageMetricsExport", "api.server.disable_usage_metrics_export", Held::Flag),
    ("API.Server.CapiWhitelistsPath", "api.server.capi_whitelists_path", Held::Text),
    (
        "API.Server.AutoRegister",
        "api.server.auto_registration",
        Held::Struct("csconfig.LocalAPIAutoRegisterCfg"),
    ),
    ("API.Server.AutoRegister.Enable", "api.server.auto_registration.enabled", Held::FlagPointer),
    ("API.Server.AutoRegister.Token", "api.server.auto_registration.token", Held::Text),
    (
        "API.Server.AutoRegister.AllowedRanges",
        "api.server.auto_registration.allowed_ranges",
        Held::List,
    ),
    ("API.Server.TLS", "api.server.tls", Held::Struct("csconfig.TLSCfg")),
    ("API.Server.TLS.CertFilePath", "api.server.tls.cert_file", Held::Text),
    ("API.Server.TLS.KeyFilePath", "api.server.tls.key_file", Held::Text),
    ("API.Server.TLS.ClientVerification", "api.server.tls.client_verification", Held::Text),
    ("API.Server.TLS.ServerName", "api.server.tls.server_name", Held::Text),
    ("API.Server.TLS.CACertPath", "api.server.tls.ca_cert_path", Held::Text),
    ("API.Server.TLS.AllowedAgentsOU", "api.server.tls.agents_allowed_ou", Held::List),
    ("API.Server.TLS.AllowedBouncersOU", "api.server.tls.bouncers_allowed_ou", Held::List),
    ("API.Server.TLS.CRLPath", "api.server.tls.crl_path", Held::Text),
    (
        "API.Server.OnlineClient",
        "api.server.online_client",
        Held::Struct("csconfig.OnlineApiClientCfg"),
    ),
    (
        "API.Server.OnlineClient.CredentialsFilePath",
        "api.server.online_client.credentials_path",
        Held::Text,
    ),
    ("API.Server.OnlineClient.Sharing", "api.server.online_client.sharing", Held::FlagPointer),
    ("API.CTI", "api.cti", Held::Struct("csconfig.CTICfg")),
    ("API.CTI.Enabled", "api.cti.enabled", Held::FlagPointer),
    ("API.CTI.Key", "api.cti.key", Held::Text),
    ("API.CTI.CacheTimeout", "api.cti.cache_timeout", Held::Text),
    ("API.CTI.CacheSize", "api.cti.cache_size", Held::NumberPointer),
    ("API.CTI.LogLevel", "api.cti.log_level", Held::Level),
    ("ConfigPaths", "config_paths", Held::Struct("csconfig.ConfigurationPaths")),
    ("ConfigPaths.ConfigDir", "config_paths.config_dir", Held::Text),
    ("ConfigPaths.DataDir", "config_paths.data_dir", Held::Text),
    ("ConfigPaths.SimulationFilePath", "config_paths.simulation_path", Held::Text),
    ("ConfigPaths.HubIndexFile", "config_paths.index_path", Held::Text),
    ("ConfigPaths.HubDir", "config_paths.hub_dir", Held::Text),
    ("ConfigPaths.PluginDir", "config_paths.plugin_dir", Held::Text),
    ("ConfigPaths.NotificationDir", "config_paths.notification_dir", Held::Text),
    ("ConfigPaths.PatternDir", "config_paths.pattern_dir", Held::Text),
    ("PluginConfig", "plugin_config", Held::Struct("csconfig.PluginCfg")),
    ("PluginConfig.User", "plugin_config.user", Held::Text),
    ("PluginConfig.Group", "plugin_config.group", Held::Text),
];

/// The value of a key.
pub(super) fn value(settings: &Settings, tree: &Yaml, key: &str) -> Result<String> {
    let name = key.strip_prefix("Config.").unwrap_or(key);
    if let Some(path) = place(settings, name) {
        return Ok(path);
    }
    let Some((_, path, held)) = KEYS.iter().find(|(known, ..)| *known == name) else {
        let known = KEYS.iter().map(|(known, ..)| *known);
        match syntax::nearest(name, known) {
            Some(nearest) => bail!("there is no key {key:?}; did you mean Config.{nearest}?"),
            None => bail!("there is no key {key:?}"),
        }
    };
    Ok(spell(tree, path, *held))
}

/// Places, which have defaults that the file does not show.
fn place(settings: &Settings, name: &str) -> Option<String> {
    let places = &settings.places;
    let path = match name {
        "ConfigPaths.ConfigDir" => &places.config_dir,
        "ConfigPaths.HubDir" => &places.hub_dir,
        "ConfigPaths.HubIndexFile" => &places.index,
        "ConfigPaths.SimulationFilePath" => &places.simulation,
        "ConfigPaths.PatternDir" => places.patterns.as_ref()?,
        "ConfigPaths.DataDir" => settings.data_dir.as_ref()?,
        "DbConfig.DbPath" => settings.database.path.as_ref()?,
        _ => return None,
    };
    Some(path.display().to_string())
}

fn spell(tree: &Yaml, path: &str, held: Held) -> String {
    let value = raw_value(tree, path);
    let text = value.and_then(Yaml::as_str);
    match held {
        Held::Text => text.unwrap_or_default().to_owned(),
        Held::TextOr(usual) => text.unwrap_or(usual).to_owned(),
        Held::Number => text.unwrap_or("0").to_owned(),
        Held::NumberOr(usual) => text.map_or_else(|| usual.to_string(), str::to_owned),
        Held::NumberPointer => text.map_or_else(|| "nil".to_owned(), |text| format!("&{text}")),
        Held::List => {
            let items = value.and_then(Yaml::as_seq).unwrap_or_default();
            let texts: Vec<&str> = items.iter().filter_map(Yaml::as_str).collect();
            format!("[{}]", texts.join(" "))
        }
        Held::Flag => value.and_then(Yaml::as_bool).unwrap_or(false).to_string(),
        // What is enabled unless somebody says otherwise is so in a section that is there.
        Held::FlagPointer => match value.and_then(Yaml::as_bool) {
            Some(flag) => format!("&{flag}"),
            None if path.ends_with(".enable") => {
                let section = path.trim_end_matches(".enable");
                if raw_value(tree, section).is_some() { "&true" } else { "nil" }.to_owned()
            }
            None => "nil".to_owned(),
        },
        Held::Level => {
            let levels = ["panic", "fatal", "error", "warning", "info", "debug", "trace"];
            let wanted = text.unwrap_or("info").to_ascii_lowercase();
            let wanted = if wanted == "warn" { "warning" } else { wanted.as_str() };
            levels.iter().position(|level| *level == wanted).unwrap_or(4).to_string()
        }
        Held::Struct(name) => {
            let Some(_) = value else { return "nil".to_owned() };
            let prefix = path.to_owned() + ".";
            let fields: Vec<String> = KEYS
                .iter()
                .filter_map(|(go, below, held)| {
                    let rest = below.strip_prefix(&prefix)?;
                    // Only its own fields: a structure in it shows as one of them.
                    let field = go.rsplit('.').next().filter(|_| !rest.contains('.'))?;
                    let text = spell(tree, below, *held);
                    let is_text = matches!(held, Held::Text | Held::TextOr(_));
                    let text = if is_text { format!("{text:?}") } else { text };
                    Some(format!("{field}:{text}"))
                })
                .collect();
            format!("&{name}{{{}}}", fields.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::fs;

    #[test]
    fn values_are_spelled_as_go_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        let text = "common: {log_level: debug}\nconfig_paths: {data_dir: /data}\n\
                    api: {server: {listen_uri: '127.0.0.1:8080'}}\nprometheus: {enabled: true}\n";
        fs::write(&path, text).unwrap();
        let read = config::load(&path).unwrap();
        let check = |key: &str, expect: &str| {
            assert_eq!(value(&read.settings, &read.tree, key).unwrap(), expect, "{key}");
        };
        check("Config.API.Server.ListenURI", "127.0.0.1:8080");
        check("Config.API.Server.Enable", "&true");
        check("Config.Crowdsec", "nil");
        check("Config.Crowdsec.Enable", "nil");
        check("Config.Common.LogLevel", "5");
        check("Config.ConfigPaths.DataDir", "/data");
        check("Config.DbConfig.DbPath", "/data/crowdsec.db");
        check(
            "Config.Prometheus",
            "&csconfig.PrometheusCfg{Enabled:true, Level:\"\", ListenAddr:\"127.0.0.1\", \
             ListenPort:6060}",
        );
        check("Config.API.Server.TrustedIPs", "[]");
        check("Config.DbConfig.Flush", "nil");
        check("Config.Common.LogMedia", "stdout");
        check("Config.PluginConfig", "nil");
        let error = value(&read.settings, &read.tree, "Config.API.Servr").unwrap_err();
        assert!(error.to_string().contains("did you mean Config.API.Server?"), "{error}");
    }
}
