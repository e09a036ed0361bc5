//! Spin's own interfaces, as version 4.1 of it has them: the store and the variables.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, ComponentType, Lift, Linker, Lower, Resource, ResourceType};

use crate::guest::Guest;
use crate::world::{Fate, StoreCall, World};

/// An open store, and how many connections had been cut when it was opened.
#[derive(Clone, Copy)]
struct OpenStore(usize);

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub enum StoreError {
    /// Too many stores are open.
    #[component(name = "store-table-full")]
    StoreTableFull,
    /// Nobody set up a store of this label.
    #[component(name = "no-such-store")]
    NoSuchStore,
    /// The manifest does not give the component this store.
    #[component(name = "access-denied")]
    AccessDenied,
    /// Whatever the back end says.
    #[component(name = "other")]
    Other(String),
}

/// Why a variable has no value.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub enum VariableError {
    /// No variable has such a name.
    #[component(name = "invalid-name")]
    InvalidName(String),
    /// The manifest does not have it.
    #[component(name = "undefined")]
    Undefined(String),
    /// The provider failed.
    #[component(name = "provider")]
    Provider(String),
    /// Anything else.
    #[component(name = "other")]
    Other(String),
}

/// Gives a component what Spin gives it.
///
/// # Errors
/// The same is there already.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut variables = linker.instance("spin:variables/variables@3.0.0")?;
    variables.func_wrap_concurrent("get", |guest, (name,): (String,)| {
        Box::pin(async move { Ok((guest.with(|mut store| store.get().world.variable(&name)),)) })
    })?;

    let mut store = linker.instance("spin:key-value/key-value@3.0.0")?;
    store.resource(
        "store",
        ResourceType::host::<OpenStore>(),
        |mut store: StoreContextMut<'_, Guest>, number| {
            store.data_mut().table.delete(Resource::<OpenStore>::new_own(number))?;
            Ok(())
        },
    )?;
    store.func_wrap_concurrent("[static]store.open", |guest, (label,): (String,)| {
        Box::pin(async move {
            let world = world(guest);
            Ok((match world.clone().open(&label).await? {
                Err(error) => Err(error),
                Ok(()) => {
                    Ok(guest.with(|mut store| store.get().table.push(OpenStore(world.cuts())))?)
                }
            },))
        })
    })?;
    store.func_wrap_concurrent(
        "[method]store.get",
        |guest, (store, key): (Resource<OpenStore>, String)| {
            Box::pin(async move { Ok((call(guest, &store, StoreCall::Get(&key)).await?,)) })
        },
    )?;
    store.func_wrap_concurrent(
        "[method]store.set",
        |guest, (store, key, value): (Resource<OpenStore>, String, Vec<u8>)| {
            Box::pin(async move {
                Ok((call(guest, &store, StoreCall::Set(&key, value)).await?.map(drop),))
            })
        },
    )?;
    store.func_wrap_concurrent(
        "[method]store.delete",
        |guest, (store, key): (Resource<OpenStore>, String)| {
            Box::pin(
                async move { Ok((call(guest, &store, StoreCall::Delete(&key)).await?.map(drop),)) },
            )
        },
    )
}

fn world(guest: &Accessor<Guest>) -> Arc<World> {
    guest.with(|mut store| Arc::clone(&store.get().world))
}

async fn call(
    guest: &Accessor<Guest>,
    store: &Resource<OpenStore>,
    call: StoreCall<'_>,
) -> Fate<Option<Vec<u8>>> {
    let world = world(guest);
    let OpenStore(cuts) = guest.with(|mut access| access.get().table.get(store).copied())?;
    match world.cuts() > cuts {
        true => Ok(Err(StoreError::Other("the connection was cut".to_owned()))),
        false => world.stored(call).await,
    }
}
