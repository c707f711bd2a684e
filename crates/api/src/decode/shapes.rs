//! The bodies of requests as Go has them: only for the words of its decoder.

use super::{
    Body, Shape,
    Shape::{Any, Flag, Float, List, Map, Struct, Text, Whole},
};
use crate::{Alert, BulkCheck, Login, Registration, metrics::AllMetrics};

const TEXTS: Shape = List("[]string", &Text);

const META: Shape =
    List("models.Meta", &Struct("models.MetaItems0", &[("key", Text), ("value", Text)]));

const EVENT: Shape = Struct("models.Event", &[("meta", META), ("timestamp", Text)]);

const SOURCE: Shape = Struct(
    "models.Source",
    &[
        ("as_name", Text),
        ("as_number", Text),
        ("cn", Text),
        ("ip", Text),
        ("latitude", Float(32)),
        ("longitude", Float(32)),
        ("range", Text),
        ("scope", Text),
        ("value", Text),
    ],
);

const DECISION: Shape = Struct(
    "models.Decision",
    &[
        ("duration", Text),
        ("id", Whole(64)),
        ("origin", Text),
        ("scenario", Text),
        ("scope", Text),
        ("simulated", Flag),
        ("type", Text),
        ("until", Text),
        ("uuid", Text),
        ("value", Text),
    ],
);

const ALERT: Shape = Struct(
    "models.Alert",
    &[
        ("capacity", Whole(32)),
        ("created_at", Text),
        ("decisions", List("[]*models.Decision", &DECISION)),
        ("events", List("[]*models.Event", &EVENT)),
        ("events_count", Whole(32)),
        ("id", Whole(64)),
        ("kind", Text),
        ("labels", TEXTS),
        ("leakspeed", Text),
        ("machine_id", Text),
        ("message", Text),
        ("meta", META),
        ("remediation", Flag),
        ("scenario", Text),
        ("scenario_hash", Text),
        ("scenario_version", Text),
        ("simulated", Flag),
        ("source", SOURCE),
        ("start_at", Text),
        ("stop_at", Text),
        ("uuid", Text),
    ],
);

impl Body for Vec<Alert> {
    const SHAPE: Shape = List("models.AddAlertsRequest", &ALERT);
}

/// `null` posts nothing.
impl Body for Option<Vec<Alert>> {
    const SHAPE: Shape = <Vec<Alert> as Body>::SHAPE;
}

impl Body for Login {
    const SHAPE: Shape = Struct(
        "models.WatcherAuthRequest",
        &[("machine_id", Text), ("password", Text), ("scenarios", TEXTS)],
    );
}

impl Body for Registration {
    const SHAPE: Shape = Struct(
        "models.WatcherRegistrationRequest",
        &[("machine_id", Text), ("password", Text), ("registration_token", Text)],
    );
}

impl Body for BulkCheck {
    const SHAPE: Shape = Struct("models.BulkCheckAllowlistRequest", &[("targets", TEXTS)]);
}

const DETAIL: Shape = Struct(
    "",
    &[
        (
            "items",
            List(
                "[]*models.MetricsDetailItem",
                &Struct(
                    "",
                    &[
                        ("labels", Map("models.MetricsLabels", &Text)),
                        ("name", Text),
                        ("unit", Text),
                        ("value", Float(64)),
                    ],
                ),
            ),
        ),
        (
            "meta",
            Struct("", &[("utc_now_timestamp", Whole(64)), ("window_size_seconds", Whole(64))]),
        ),
    ],
);

// Each component decodes itself, and Go then names the field as one of the whole report.
const COMPONENT: Shape = Struct(
    "",
    &[
        ("datasources", Map("map[string]int64", &Any)),
        ("feature_flags", TEXTS),
        ("hub_items", Map("models.HubItems", &Any)),
        ("metrics", List("[]*models.DetailedMetrics", &DETAIL)),
        ("name", Text),
        ("os", Struct("", &[("family", Text), ("name", Text), ("version", Text)])),
        ("type", Text),
        ("utc_startup_timestamp", Whole(64)),
        ("version", Text),
    ],
);

impl Body for AllMetrics {
    const SHAPE: Shape = Struct(
        "models.AllMetrics",
        &[
            ("log_processors", List("[]*models.LogProcessorsMetrics", &COMPONENT)),
            ("remediation_components", List("[]*models.RemediationComponentsMetrics", &COMPONENT)),
        ],
    );
}
