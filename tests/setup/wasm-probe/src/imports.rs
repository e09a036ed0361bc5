//! `imports MODULE.wasm`: prints the module's size and fails if it imports anything, naming
//! each import.

use std::process::ExitCode;
use wasmparser::{Parser, Payload};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: imports MODULE.wasm")?;
    let module = std::fs::read(path)?;
    let imports = imports(&module)?;
    for import in &imports {
        eprintln!("error: the module imports {import}");
    }
    println!("{} bytes, {} imports", module.len(), imports.len());
    if imports.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// Every import of the module as `module.name`, in the module's order.
fn imports(module: &[u8]) -> wasmparser::Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                names.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    Ok(names)
}
