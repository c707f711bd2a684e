//! x
#[derive(Clone, Debug)]
pub struct JournaldConfig {
    pub common: crate::config::Common,
}
pub(crate) fn run(
    _c: &JournaldConfig,
    _s: &crate::LineSink,
    _x: &crate::Context<'_>,
) -> Result<(), crate::SourceError> {
    Ok(())
}
