//! What a panic said, where the shim finds it: after a panic no function of the instance can be
//! relied on, but its memory can be read.

use std::cell::{Cell, RefCell};
use std::panic;

use crate::output::{address, number};

thread_local! {
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
    /// Address and length of the message.
    static PLACE: Box<[Cell<u32>; 2]> = Box::default();
}

/// Reports panics from now on, and says where: at the address of two numbers, an address and a
/// length, 0 until there was a panic.
pub(crate) fn report() -> u32 {
    panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        MESSAGE.with(|message| {
            if let Ok(mut message) = message.try_borrow_mut() {
                *message = text;
                PLACE.with(|place| {
                    place[0].set(address(message.as_ptr()));
                    place[1].set(number(message.len()));
                });
            }
        });
    }));
    PLACE.with(|place| address(place.as_ptr()))
}
