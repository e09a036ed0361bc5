//! The stores of edges that a function was told of.

use waypost_aws::edge_table::EdgeTable;
use waypost_aws::store::AwsStore;
use waypost_host::settings::Strings;
use waypost_publish::{Setting, Store, StoreKind, parse};
use waypost_service::publish::{
    Budget, EdgeStore, Kept, Limits, Listed, Mark, Put, Removal, StoreFault, Ways,
};
use waypost_service::seams::StoreError;
use waypost_wire::origin::sign::OriginKey;

use crate::start::{StartError, Started};

/// Any store of edges.
#[derive(Debug)]
pub enum Target {
    /// Called over HTTP or the protocol of Redis.
    Remote(Store),
    /// A table of DynamoDB.
    Table(EdgeTable),
}

/// The stores in `WAYPOST_EDGE_STORES`, with the tokens in the secret that
/// `WAYPOST_EDGE_TOKENS_SECRET` names: a JSON object, from names to tokens.
///
/// # Errors
/// See [`StartError`].
pub fn targets(environment: &impl Strings, started: &Started) -> Result<Vec<Target>, StartError> {
    let text = environment.value("edge_stores").unwrap_or_default();
    let settings = parse(&text).map_err(|faults| {
        StartError::Environment(faults.iter().map(ToString::to_string).collect())
    })?;
    let origin = OriginKey::new(started.keys.origin);
    let open = |setting: &Setting| {
        let refused = |fault: StoreFault| StartError::Environment(vec![fault.to_string()]);
        let token = |name: &str| started.tokens.get(name).cloned();
        match setting.open(token, &origin).map_err(refused)? {
            Some(store) => Ok(Target::Remote(store)),
            None => table(setting, &started.store).map(Target::Table),
        }
    };
    settings.iter().map(open).collect()
}

fn table(setting: &Setting, store: &AwsStore) -> Result<EdgeTable, StartError> {
    let StoreKind::DynamoDb { table, region } = &setting.kind else {
        return Err(StoreError::Damaged(format!("{}: no such store", setting.name)).into());
    };
    let dynamo = match region {
        None => store.clients.dynamo.clone(),
        Some(region) => store.clients.dynamo_in(region),
    };
    Ok(EdgeTable::new(setting.name.clone(), dynamo, table.clone()))
}

/// The same call of whichever store it is.
macro_rules! each {
    ($target:expr, $it:ident => $call:expr) => {
        match $target {
            Target::Remote($it) => $call,
            Target::Table($it) => $call,
        }
    };
}

impl EdgeStore for Target {
    fn name(&self) -> &str {
        each!(self, store => store.name())
    }

    fn limits(&self, budget: Budget) -> Limits {
        each!(self, store => store.limits(budget))
    }

    fn ways(&self) -> Ways {
        each!(self, store => store.ways())
    }

    async fn put(&self, records: &[Put<'_>]) -> Result<Vec<Kept>, StoreFault> {
        each!(self, store => store.put(records).await)
    }

    async fn remove(&self, removals: &[Removal<'_>]) -> Result<Vec<Kept>, StoreFault> {
        each!(self, store => store.remove(removals).await)
    }

    async fn put_state(&self, state: &[u8]) -> Result<Kept, StoreFault> {
        each!(self, store => store.put_state(state).await)
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Listed, StoreFault> {
        each!(self, store => store.list(cursor).await)
    }

    async fn marks(&self, keys: &[&str]) -> Result<Vec<Option<Option<Mark>>>, StoreFault> {
        each!(self, store => store.marks(keys).await)
    }
}
