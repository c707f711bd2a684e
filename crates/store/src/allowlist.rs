//! Allowlists: addresses and networks about which nothing may be decided.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashSet;
use ipnet::IpNet;
use model::Timestamp;

use crate::{
    Error, Store,
    machine::{instant, text},
    net::Columns,
    query,
    sql::{self, Connection, Optional as _, Row, params},
    time,
    writer::Tx,
};

/// A named list of addresses and networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowlist {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its identifier on the console, for lists managed there.
    pub console_id: Option<String>,
    /// Whether it is managed on the console.
    pub from_console: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its items; empty where they were not asked for.
    pub items: Vec<AllowlistItem>,
}

/// One entry of an allowlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowlistItem {
    /// The address or network as written.
    pub value: String,
    /// Why it is there.
    pub comment: String,
    /// When it ends; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// An entry that is about to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAllowlistItem {
    /// The address or network.
    pub net: IpNet,
    /// As it shall be written.
    pub value: String,
    /// Why.
    pub comment: String,
    /// When it ends; `None` means never.
    pub expires_at: Option<Timestamp>,
}

/// A new, empty allowlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAllowlist {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its identifier on the console, for lists managed there.
    pub console_id: Option<String>,
}

/// An entry that covers an address or network, or lies inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowMatch {
    /// The list.
    pub allowlist: String,
    /// The entry as written.
    pub value: String,
    /// Why it is there; may be empty.
    pub comment: String,
}

/// Whether lists come with their items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Items {
    /// Without.
    #[default]
    Left,
    /// With.
    Listed,
}

const LIST: &str = "id, name, description, allowlist_id, from_console, created_at, updated_at";

impl Store {
    /// All allowlists, by name.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn allowlists(&self, items: Items) -> Result<Vec<Allowlist>, Error> {
        let work = move |conn: &Connection| {
            let mut statement = conn.prepare_cached(&format!("SELECT {LIST} FROM allow_lists"))?;
            let mut found: Vec<(i64, Allowlist)> =
                statement.query_map((), list)?.collect::<Result<_, _>>()?;
            // Here, since databases differ in the order of texts.
            found.sort_by(|a, b| a.1.name.cmp(&b.1.name));
            let mut lists = Vec::with_capacity(found.len());
            for (id, list) in found {
                let items = match items {
                    Items::Left => Vec::new(),
                    Items::Listed => items_of(conn, id)?,
                };
                lists.push(Allowlist { items, ..list });
            }
            Ok(lists)
        };
        self.inner.readers.read(work).await
    }

    /// One allowlist with its items.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn allowlist(&self, name: &str) -> Result<Allowlist, Error> {
        let name = name.to_owned();
        let work = move |conn: &Connection| {
            let found = conn
                .prepare_cached(&format!("SELECT {LIST} FROM allow_lists WHERE name = ?"))?
                .query_row([&name], list)
                .optional()?;
            let (id, list) = found.ok_or(Error::NotFound { what: "allowlist", name })?;
            Ok(Allowlist { items: items_of(conn, id)?, ..list })
        };
        self.inner.readers.read(work).await
    }

    /// Makes an allowlist.
    ///
    /// # Errors
    /// `Exists`, or when the database refuses.
    pub async fn add_allowlist(&self, list: NewAllowlist, now: Timestamp) -> Result<(), Error> {
        let work = move |tx: &mut Tx<'_>| {
            let n_added = tx
                .conn
                .prepare_cached(
                    "INSERT INTO allow_lists (created_at, updated_at, name, from_console, \
                     description, allowlist_id) VALUES (?1, ?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    time::to_text(now),
                    list.name,
                    list.console_id.is_some(),
                    list.description,
                    list.console_id,
                ])?;
            if n_added == 0 {
                return Err(Error::Exists { what: "allowlist", name: list.name }.into());
            }
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Deletes an allowlist and the items no other list has.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses.
    pub async fn delete_allowlist(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            let id = list_id(tx.conn, &name)?.ok_or(Error::NotFound { what: "allowlist", name })?;
            tx.conn
                .prepare_cached(
                    "DELETE FROM allow_list_items WHERE id IN \
                     (SELECT allow_list_item_id FROM allow_list_allowlist_items WHERE allow_list_id = ?1) \
                     AND id NOT IN \
                     (SELECT allow_list_item_id FROM allow_list_allowlist_items WHERE allow_list_id <> ?1)",
                )?
                .execute([id])?;
            tx.conn.prepare_cached("DELETE FROM allow_lists WHERE id = ?")?.execute([id])?;
            Ok(())
        };
        self.inner.writer.write(work).await
    }

    /// Adds items; those whose value the list has already are left alone. Ends every active
    /// decision they match. Tells how many items were added and how many decisions ended.
    ///
    /// # Errors
    /// `NotFound`, or when the database refuses; then nothing changes.
    pub async fn add_allowlist_items(
        &self,
        name: &str,
        items: Vec<NewAllowlistItem>,
        now: Timestamp,
    ) -> Result<(usize, usize), Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            let list =
                list_id(tx.conn, &name)?.ok_or(Error::NotFound { what: "allowlist", name })?;
            let now_text = time::to_text(now);
            let mut known: HashSet<String> =
                items_of(tx.conn, list)?.into_iter().map(|item| item.value).collect();
            let mut n_added = 0;
            let mut ids = Vec::new();
            for item in items {
                if !known.insert(item.value.clone()) {
                    continue;
                }
                insert_item(tx.conn, list, &item, &now_text)?;
                n_added += 1;
                if item.expires_at.is_none_or(|end| end > now) {
                    ids.extend(query::related_ids(tx.conn, model::canonical_net(item.net), now)?);
                }
            }
            ids.sort_unstable();
            ids.dedup();
            let n_ended = ids.len();
            if !ids.is_empty() {
                query::end(tx, &ids, query::Alert::Kept, now)?;
            }
            touch(tx.conn, list, &now_text)?;
            Ok((n_added, n_ended))
        };
        self.inner.writer.write(work).await
    }

    /// Removes items by their value and tells how many there were.
    ///
    /// # Errors
    /// `NotFound` for the list, or when the database refuses.
    pub async fn remove_allowlist_items(
        &self,
        name: &str,
        values: Vec<String>,
        now: Timestamp,
    ) -> Result<usize, Error> {
        let name = name.to_owned();
        let work = move |tx: &mut Tx<'_>| {
            let list =
                list_id(tx.conn, &name)?.ok_or(Error::NotFound { what: "allowlist", name })?;
            let wanted: HashSet<String> = values.into_iter().collect();
            let mut statement =
                tx.conn.prepare_cached(&format!("{ITEMS_OF_LIST} ORDER BY i.id"))?;
            let found: Vec<(i64, String)> = statement
                .query_map([list], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut n_removed = 0;
            for (item, _) in found.iter().filter(|(_, value)| wanted.contains(value)) {
                n_removed += tx
                    .conn
                    .prepare_cached(
                        "DELETE FROM allow_list_allowlist_items WHERE allow_list_id = ? AND allow_list_item_id = ?",
                    )?
                    .execute([list, *item])?;
                tx.conn
                    .prepare_cached(
                        "DELETE FROM allow_list_items WHERE id = ?1 AND NOT EXISTS \
                         (SELECT 1 FROM allow_list_allowlist_items WHERE allow_list_item_id = ?1)",
                    )?
                    .execute([item])?;
            }
            touch(tx.conn, list, &time::to_text(now))?;
            Ok(n_removed)
        };
        self.inner.writer.write(work).await
    }

    /// The items that cover a target or lie inside it, for each target; sorted by list.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn allowed(
        &self,
        targets: Vec<IpNet>,
        now: Timestamp,
    ) -> Result<Vec<Vec<AllowMatch>>, Error> {
        // Not the store: the thread that reads must never be the one that drops the last of it.
        let cache = Arc::clone(&self.inner.allow);
        let work = move |conn: &Connection| {
            let version: i64 = conn
                .prepare_cached("SELECT value FROM shieldwall_state WHERE name = 'allowlists'")?
                .query_row((), |row| row.get(0))?;
            let known = cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let set = match known {
                Some((known, set)) if known == version => set,
                _ => {
                    let set = Arc::new(AllowSet::load(conn)?);
                    *cache.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((version, Arc::clone(&set)));
                    set
                }
            };
            Ok(targets
                .into_iter()
                .map(|target| set.matching(model::canonical_net(target), now))
                .collect())
        };
        self.inner.readers.read(work).await
    }
}

/// The lists as last loaded, and the number of the change they show.
pub(crate) type Cache = Arc<Mutex<Option<(i64, Arc<AllowSet>)>>>;

/// All items of all lists in memory, by address. Loaded again when a list changes.
#[derive(Debug, Default)]
pub(crate) struct AllowSet {
    items: Vec<(IpNet, AllowMatch, Option<Timestamp>)>,
}

impl AllowSet {
    fn load(conn: &Connection) -> sql::Result<Self> {
        let mut statement = conn.prepare_cached(
            "SELECT l.name, i.value, i.comment, i.expires_at FROM allow_list_items i \
             JOIN allow_list_allowlist_items x ON x.allow_list_item_id = i.id \
             JOIN allow_lists l ON l.id = x.allow_list_id",
        )?;
        let rows = statement.query_map((), |row| {
            let matched =
                AllowMatch { allowlist: row.get(0)?, value: row.get(1)?, comment: text(row, 2)? };
            Ok((matched, end(row, 3)?))
        })?;
        let mut items = Vec::new();
        for row in rows {
            let (matched, end) = row?;
            // An item that is no address matches no address.
            if let Ok(net) = model::parse_target(&matched.value) {
                items.push((net, matched, end));
            }
        }
        items.sort_by(|a, b| (a.0, &a.1.allowlist).cmp(&(b.0, &b.1.allowlist)));
        Ok(Self { items })
    }

    fn matching(&self, target: IpNet, now: Timestamp) -> Vec<AllowMatch> {
        let mut found: Vec<&AllowMatch> = Vec::new();
        let from = |net: IpNet| {
            let first = self.items.partition_point(|item| item.0 < net);
            self.items.get(first..).unwrap_or_default().iter()
        };
        let lives =
            |item: &&(IpNet, AllowMatch, Option<Timestamp>)| item.2.is_none_or(|end| end > now);
        for length in 0..target.prefix_len() {
            let Ok(wider) = IpNet::new(target.addr(), length).map(|net| net.trunc()) else {
                continue;
            };
            found.extend(
                from(wider).take_while(|item| item.0 == wider).filter(lives).map(|item| &item.1),
            );
        }
        let inside = from(target).take_while(|item| target.contains(&item.0.addr()));
        found.extend(
            inside.filter(|item| target.contains(&item.0)).filter(lives).map(|item| &item.1),
        );
        found.sort_by(|a, b| a.allowlist.cmp(&b.allowlist));
        found.into_iter().cloned().collect()
    }
}

const ITEMS_OF_LIST: &str = "SELECT i.id, i.value, i.comment, i.expires_at, i.created_at \
    FROM allow_list_items i JOIN allow_list_allowlist_items x ON x.allow_list_item_id = i.id \
    WHERE x.allow_list_id = ?";

fn items_of(conn: &Connection, list: i64) -> sql::Result<Vec<AllowlistItem>> {
    conn.prepare_cached(&format!("{ITEMS_OF_LIST} ORDER BY i.id"))?
        .query_map([list], |row| {
            Ok(AllowlistItem {
                value: row.get(1)?,
                comment: text(row, 2)?,
                expires_at: end(row, 3)?,
                created_at: instant(row, 4)?.unwrap_or_default(),
            })
        })?
        .collect()
}

/// Reads when an item ends. COMPAT(crowdsec): the year 1 means never.
fn end(row: &Row<'_>, column: usize) -> sql::Result<Option<Timestamp>> {
    Ok(instant(row, column)?.filter(|end| *end > Timestamp::from_unix(0, 0)))
}

fn list(row: &Row<'_>) -> sql::Result<(i64, Allowlist)> {
    let list = Allowlist {
        name: row.get(1)?,
        description: text(row, 2)?,
        console_id: row.get(3)?,
        from_console: row.get(4)?,
        created_at: instant(row, 5)?.unwrap_or_default(),
        updated_at: instant(row, 6)?.unwrap_or_default(),
        items: Vec::new(),
    };
    Ok((row.get(0)?, list))
}

fn list_id(conn: &Connection, name: &str) -> sql::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM allow_lists WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn insert_item(
    conn: &Connection,
    list: i64,
    item: &NewAllowlistItem,
    now: &str,
) -> sql::Result<()> {
    let columns = Columns::of(model::canonical_net(item.net));
    let id = conn.prepare_cached(
        "INSERT INTO allow_list_items (created_at, updated_at, expires_at, comment, value, start_ip, \
         end_ip, start_suffix, end_suffix, ip_size) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .insert(params![
        now,
        item.expires_at.map(time::to_text),
        item.comment,
        item.value,
        columns.start,
        columns.end,
        columns.start_suffix,
        columns.end_suffix,
        columns.size,
    ])?;
    conn.prepare_cached(
        "INSERT INTO allow_list_allowlist_items (allow_list_id, allow_list_item_id) VALUES (?, ?)",
    )?
    .execute([list, id])?;
    Ok(())
}

fn touch(conn: &Connection, list: i64, now: &str) -> sql::Result<()> {
    conn.prepare_cached("UPDATE allow_lists SET updated_at = ? WHERE id = ?")?
        .execute(params![now, list])?;
    Ok(())
}
