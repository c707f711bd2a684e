//! x
#[derive(Clone, Debug)]
pub struct SyslogConfig {
    pub common: crate::config::Common,
}
pub(crate) fn run(
    _c: &SyslogConfig,
    _s: &crate::LineSink,
    _x: &crate::Context<'_>,
) -> Result<(), crate::SourceError> {
    Ok(())
}
