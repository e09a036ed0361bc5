//! Ways to break an instance, for tests of what the shim does then. Never shipped.

/// Breaks the instance: `panic`, `overflow` (the stack), `memory`; anything else does nothing.
pub(crate) fn inject(how: &[u8]) {
    match how {
        b"panic" => panic!("injected"),
        b"overflow" => {
            std::hint::black_box(deeper(1));
        }
        b"memory" => {
            let mut all = Vec::new();
            loop {
                // Reserved, never written: the machine need not have it.
                all.push(Vec::<u8>::with_capacity(64 * 1024 * 1024));
                std::hint::black_box(&all);
            }
        }
        _ => {}
    }
}

fn deeper(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == 0 { 0 } else { deeper(depth + 1) + room[1] }
}
