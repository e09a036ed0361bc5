//! The component, compiled once for all tests of a process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::guest::Guest;
use crate::spin;

/// Names another file than the one that the build makes.
const FILE: &str = "WAYPOST_SPIN_WASM";

/// The engine and the component, ready to be instantiated.
///
/// # Errors
/// The component is not there, or asks for something that Spin does not have.
pub fn component() -> Result<&'static ServicePre<Guest>, String> {
    static COMPONENT: OnceLock<Result<ServicePre<Guest>, String>> = OnceLock::new();
    COMPONENT.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<ServicePre<Guest>, String> {
    let component = read()?;
    let mut linker = Linker::new(component.engine());
    let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_wasi::p3::add_to_linker(&mut linker))
        .and_then(|()| wasmtime_wasi_http::p3::add_to_linker(&mut linker))
        .and_then(|()| spin::add_to_linker(&mut linker));
    let instance = linked.and_then(|()| linker.instantiate_pre(&component));
    instance.and_then(ServicePre::new).map_err(|error| format!("{error:?}"))
}

/// Compiles the component.
fn read() -> Result<Component, String> {
    let path = path();
    let bytes = std::fs::read(&path).map_err(|error| {
        format!(
            "{}: {error}\n\
             The component is built with\n    \
             cargo build --package waypost-spin --target wasm32-wasip2 --profile edge --target-dir target/wasm\n\
             at the root of the repository; {FILE} names another file",
            path.display()
        )
    })?;
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).map_err(|error| format!("{error:?}"))?;
    Component::new(&engine, bytes).map_err(|error| format!("{}: {error:?}", path.display()))
}

fn path() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::env::var_os(FILE) {
        Some(path) => root.join(path),
        None => root.join("target/wasm/wasm32-wasip2/edge/waypost_spin.wasm"),
    }
}

/// What the component imports: the names of its interfaces, sorted.
///
/// # Errors
/// See [`component`].
pub fn imports() -> Result<Vec<String>, String> {
    let component = component()?.instance_pre().component();
    let imports = component.component_type();
    let mut names: Vec<String> =
        imports.imports(component.engine()).map(|(name, _)| name.to_owned()).collect();
    names.sort();
    Ok(names)
}
