//! Decisions: asked from memory, ended in the database.

use model::{Decision, DecisionId, Timestamp};

use crate::{
    DecisionFilter, Dedup, Error, Page, Simulated, Store,
    index::{Changed, Scanned},
    matcher::Prepared,
    query,
    sql::Connection,
    time,
    writer::Tx,
};

/// So many decisions end in one transaction.
const STEP: usize = 1000;

/// How many active decisions share a reason, an origin and a remediation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActiveCount {
    /// The scenario.
    pub scenario: String,
    /// The origin.
    pub origin: String,
    /// The remediation.
    pub remediation: String,
    /// How many.
    pub n_decisions: u64,
}

impl Store {
    /// The active decisions that match, by number. Takes microseconds for an address: call it
    /// without `spawn_blocking`. A question that nothing narrows down takes up to some ten
    /// milliseconds per million decisions; nobody waits for it meanwhile, and what changes while it
    /// runs may or may not be in the answer.
    ///
    /// # Errors
    /// `NoIndex`.
    pub fn decisions(
        &self,
        filter: &DecisionFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Error> {
        let filter = Prepared::new(filter.clone());
        let shared = &self.inner.shared;
        if let Some(found) = shared.read()?.select(&filter, page, now) {
            return Ok(found);
        }
        let (mut page, mut found) = (page, Vec::new());
        // The lock is let go between two steps, for whoever wants to write.
        while shared.read()?.scan(&filter, &mut page, now, &mut found) == Scanned::Some {}
        Ok(found)
    }

    /// How many active decisions there are of each sort, sorted.
    ///
    /// # Errors
    /// `NoIndex`.
    pub fn active_counts(&self, now: Timestamp) -> Result<Vec<ActiveCount>, Error> {
        self.inner.shared.advance(now);
        Ok(self.inner.shared.read()?.counts())
    }

    /// Ends the active decisions that match now, and returns them.
    ///
    /// # Errors
    /// When the database refuses; what ended before has ended.
    pub async fn expire(
        &self,
        filter: DecisionFilter,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Error> {
        let filter = Prepared::new(filter);
        let rare = filter.filter.net.is_some() || filter.filter.value.is_some();
        if rare || !self.inner.shared.is_kept() {
            let work = move |tx: &mut Tx<'_>| {
                let ids = query::active_ids(tx.conn, &filter, now)?;
                query::end(tx, &ids, query::Alert::Kept, now)
            };
            return self.inner.writer.write(work).await;
        }
        // SQLite would look at all active decisions while everybody who writes waits; memory finds
        // them beside the writer, and they end in steps.
        let mut ended = Vec::new();
        for step in self.active_ids(&filter, now)?.chunks(STEP) {
            let step = step.to_vec();
            let work = move |tx: &mut Tx<'_>| query::end(tx, &step, query::Alert::Kept, now);
            ended.extend(self.inner.writer.write_large(work).await?);
        }
        Ok(ended)
    }

    /// Ends one decision now, even one that has ended before, and returns it.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn expire_one(&self, id: DecisionId, now: Timestamp) -> Result<Decision, Error> {
        let work = move |tx: &mut Tx<'_>| {
            let ended = query::end(tx, &[id.0], query::Alert::Kept, now)?;
            let missing = || Error::NotFound { what: "decision", name: id.to_string() };
            Ok(ended.into_iter().next().ok_or_else(missing)?)
        };
        self.inner.writer.write(work).await
    }

    /// Ends the active decisions of `origin` about any of `values`, and returns them.
    ///
    /// # Errors
    /// When the database refuses; then none ends.
    pub async fn expire_values(
        &self,
        origin: String,
        values: Vec<String>,
        now: Timestamp,
    ) -> Result<Vec<Decision>, Error> {
        let work = move |tx: &mut Tx<'_>| {
            let mut ids = Vec::new();
            for value in values {
                let filter = DecisionFilter {
                    value: Some(value),
                    origins: vec![origin.clone()],
                    simulated: Simulated::Included,
                    ..DecisionFilter::default()
                };
                ids.extend(query::active_ids(tx.conn, &Prepared::new(filter), now)?);
            }
            ids.sort_unstable();
            ids.dedup();
            query::end(tx, &ids, query::Alert::Kept, now)
        };
        self.inner.writer.write(work).await
    }

    /// How many decisions about `value` are on record, expired ones too, stored after `since`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn decision_count(
        &self,
        value: String,
        since: Option<Timestamp>,
    ) -> Result<u64, Error> {
        let work = move |conn: &Connection| {
            let since = since.map(time::to_text).unwrap_or_default();
            let n: i64 = conn
                .prepare_cached(
                    "SELECT count(*) FROM decisions WHERE value = ? AND created_at > ?",
                )?
                .query_row([value, since], |row| row.get(0))?;
            Ok(n.unsigned_abs())
        };
        self.inner.readers.read(work).await
    }

    /// How many decisions about `value` are active.
    ///
    /// # Errors
    /// `NoIndex`.
    pub fn active_count(&self, value: &str, now: Timestamp) -> Result<u64, Error> {
        let filter = DecisionFilter {
            value: Some(value.to_owned()),
            simulated: Simulated::Included,
            ..DecisionFilter::default()
        };
        let found = self.decisions(&filter, Page::default(), now)?;
        Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
    }

    /// The numbers of the active decisions that match, gathered page by page.
    fn active_ids(&self, filter: &Prepared, now: Timestamp) -> Result<Vec<i64>, Error> {
        let mut ids = Vec::new();
        let mut after = Some((0, i64::MIN));
        while let Some(place) = after {
            let through = self.inner.shared.seq();
            let ask = Changed { after: place, through, filter, dedup: Dedup::Off };
            let (page, next) = self.inner.shared.read()?.changed(&ask, now);
            ids.extend(page.iter().map(|decision| decision.id.0));
            after = next;
        }
        Ok(ids)
    }
}
