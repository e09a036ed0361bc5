//! What goes from WASM to the shim: numbers in registers, and up to four texts one behind the
//! other in one buffer. The shim reads both from memory, without a call.

use std::cell::Cell;

use waypost_core::reply::Reply;

use crate::errand::Errand;

/// The registers, by their places. `js/shim.js` has the same list.
pub(crate) mod register {
    /// Of a reply; else [`super::PENDING`], [`super::DONE`] or [`super::GONE`].
    pub(crate) const STATUS: usize = 0;
    /// The journey that has an errand.
    pub(crate) const JOURNEY: usize = 1;
    /// Which errand: 1 admit, 2 pause, 3 post, 4 read, 5 wait.
    pub(crate) const ERRAND: usize = 2;
    /// Milliseconds of a pause, age in seconds of a read, flight of a wait.
    pub(crate) const ARGUMENT: usize = 3;
    /// Longest wait for an errand, in milliseconds.
    pub(crate) const TIMEOUT_MS: usize = 4;
    /// 1: the journey must not be begun again.
    pub(crate) const IS_FINAL: usize = 5;
    /// 1: flights have landed.
    pub(crate) const HAS_LANDED: usize = 6;
    /// A journey to run beside: reads the state; 0: none.
    pub(crate) const REFRESH: usize = 7;
    /// A journey to run beside: delivers clicks; 0: none.
    pub(crate) const DELIVER: usize = 8;
    /// Which status and headers are those of an earlier reply, but for `Location`; 0: none.
    pub(crate) const TEMPLATE: usize = 9;
    /// Where the texts begin.
    pub(crate) const TEXT: usize = 10;
    /// Bytes of the first text: `Location`, a key, a URL, or what is to be logged.
    pub(crate) const FIRST_BYTES: usize = 11;
    /// Bytes of the second text: headers, a line for each name and each value.
    pub(crate) const HEADER_BYTES: usize = 12;
    /// Bytes of the third text: the headers of the template, if they are news.
    pub(crate) const TEMPLATE_BYTES: usize = 13;
    /// Bytes of the fourth text: a body.
    pub(crate) const BODY_BYTES: usize = 14;
    /// Which reply it is as a whole, if it is worth remembering; then texts only if it is news.
    pub(crate) const REPLY: usize = 15;
    /// How many there are.
    pub(crate) const COUNT: usize = 16;
}

/// The journey has an errand.
pub(crate) const PENDING: u32 = 0;
/// The journey is over and had nothing to reply.
pub(crate) const DONE: u32 = 1;
/// There is no such journey (any more).
pub(crate) const GONE: u32 = 2;

/// Replies have most of their headers in common; so many sets of them are remembered by the shim.
const TEMPLATES_MAX: usize = 64;

/// So many whole replies are remembered by the shim, a power of two.
const REPLIES_MAX: usize = 256;

/// A buffer that grew beyond this for one reply or errand is given back before the next.
const KEPT_MAX_BYTES: usize = 64 * 1024;

/// What many replies have in common.
#[derive(Debug)]
struct Template {
    status: u16,
    headers: Vec<(&'static str, Box<str>)>,
}

/// The way out.
#[derive(Debug)]
pub(crate) struct Output {
    registers: Box<[Cell<u32>; register::COUNT]>,
    text: Vec<u8>,
    templates: Vec<Template>,
    replies: Vec<Remembered>,
}

/// A reply of a template and a `Location`, in a place that others want too.
#[derive(Clone, Debug, Default)]
struct Remembered {
    template: u32,
    location: String,
    /// Of what was replied last and is not remembered. What comes twice in a row is.
    candidate: Option<u32>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            registers: Box::new([const { Cell::new(0) }; register::COUNT]),
            text: Vec::with_capacity(4_096),
            templates: Vec::new(),
            replies: vec![Remembered::default(); REPLIES_MAX],
        }
    }

    /// Where the registers are.
    pub(crate) const fn registers(&self) -> *const Cell<u32> {
        self.registers.as_ptr()
    }

    pub(crate) fn set(&self, register: usize, value: u32) {
        self.registers[register].set(value);
    }

    pub(crate) fn get(&self, register: usize) -> u32 {
        self.registers[register].get()
    }

    /// Empties the buffer and the registers.
    pub(crate) fn clear(&mut self) {
        for register in &*self.registers {
            register.set(0);
        }
        if self.text.capacity() > KEPT_MAX_BYTES {
            self.text = Vec::with_capacity(4_096);
        }
        self.text.clear();
    }

    /// Puts the first text.
    pub(crate) fn text(&mut self, text: &str) {
        self.put(register::FIRST_BYTES, |to| to.extend_from_slice(text.as_bytes()));
        self.locate();
    }

    /// Puts a reply. `Content-Length` is the runtime's business wherever there is a body or could
    /// be one, but not where HEAD only asks for it.
    pub(crate) fn reply(&mut self, reply: &Reply<'_>, is_head: bool) {
        self.set(register::STATUS, reply.status.into());
        let location = reply.headers.iter().find(|(name, _)| *name == "location");
        let location = location.map_or("", |(_, value)| value);
        let is_own = |name: &str| {
            matches!(name, "cache-status" | "set-cookie") || (is_head && name == "content-length")
        };
        let (template, is_news) = self.template(reply);
        let is_plain = reply.body.is_empty() && !reply.headers.iter().any(|(name, _)| is_own(name));
        if is_plain && !is_news && template != 0 && self.remember(template, location) {
            return;
        }
        self.set(register::TEMPLATE, template);
        self.put(register::FIRST_BYTES, |to| to.extend_from_slice(location.as_bytes()));
        self.put(register::HEADER_BYTES, |to| {
            for (name, value) in reply.headers.iter().filter(|(name, _)| is_own(name)) {
                lines_of(to, name, value);
            }
        });
        if is_news {
            self.put(register::TEMPLATE_BYTES, |to| {
                shared(reply).for_each(|(name, value)| lines_of(to, name, value));
            });
        }
        self.put(register::BODY_BYTES, |to| to.extend_from_slice(reply.body.as_bytes()));
        self.locate();
    }

    /// Whether the shim remembers the reply. If not, it may be asked to do so now.
    fn remember(&mut self, template: u32, location: &str) -> bool {
        let hash = hash_of(template, location);
        let at = hash as usize % REPLIES_MAX;
        let known = &mut self.replies[at];
        let is_known = known.template == template && known.location == location;
        if is_known || known.candidate == Some(hash) {
            self.registers[register::REPLY].set(number(at + 1));
        }
        if !is_known && known.candidate == Some(hash) {
            *known = Remembered { template, location: location.to_owned(), candidate: None };
        } else if !is_known {
            known.candidate = Some(hash);
        }
        is_known
    }

    /// Puts an errand.
    pub(crate) fn errand(&mut self, errand: &Errand) {
        let (kind, argument, timeout_ms) = match errand {
            Errand::Admit { client, timeout_ms } => {
                self.text(client);
                (1, 0, *timeout_ms)
            }
            Errand::Pause { ms } => (2, *ms, 0),
            Errand::Post(request) => {
                self.text(&request.url);
                self.put(register::HEADER_BYTES, |to| {
                    for (name, value) in &request.headers {
                        lines_of(to, name, value);
                    }
                });
                self.put(register::BODY_BYTES, |to| to.extend_from_slice(&request.body));
                self.locate();
                (3, 0, request.timeout_ms)
            }
            Errand::Read { key, age_max_seconds, timeout_ms } => {
                self.text(key);
                (4, *age_max_seconds, *timeout_ms)
            }
            Errand::Wait { flight, timeout_ms } => (5, *flight, *timeout_ms),
        };
        self.set(register::ERRAND, kind);
        self.set(register::ARGUMENT, argument);
        self.set(register::TIMEOUT_MS, timeout_ms);
    }

    /// The number of what a reply shares with others, from 1, and whether the shim has to be told
    /// what that is.
    fn template(&mut self, reply: &Reply<'_>) -> (u32, bool) {
        let known = self.templates.iter().position(|known| known.is_of(reply));
        let at = known.unwrap_or(self.templates.len());
        if at == TEMPLATES_MAX {
            return (0, true);
        }
        if known.is_none() {
            let headers = shared(reply).map(|(name, value)| (name, value.into())).collect();
            self.templates.push(Template { status: reply.status, headers });
        }
        (number(at + 1), known.is_none())
    }

    /// Appends a text and notes its length.
    fn put(&mut self, register: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.text.len();
        write(&mut self.text);
        self.set(register, number(self.text.len() - before));
    }

    #[cfg(test)]
    pub(crate) fn texts(&self) -> [String; 4] {
        use register::{BODY_BYTES, FIRST_BYTES, HEADER_BYTES, TEMPLATE_BYTES};
        let mut rest = &*self.text;
        [FIRST_BYTES, HEADER_BYTES, TEMPLATE_BYTES, BODY_BYTES].map(|bytes| {
            let (text, after) = rest.split_at(self.get(bytes) as usize);
            rest = after;
            String::from_utf8_lossy(text).into_owned()
        })
    }

    fn locate(&self) {
        self.set(register::TEXT, address(self.text.as_ptr()));
    }
}

/// An address in the 32-bit memory of a module.
pub(crate) fn address<T>(pointer: *const T) -> u32 {
    number(pointer.addr())
}

pub(crate) fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// The headers that many replies have in common.
fn shared<'a>(reply: &'a Reply<'_>) -> impl Iterator<Item = (&'static str, &'a str)> {
    let is_shared =
        |name: &str| !matches!(name, "location" | "content-length" | "cache-status" | "set-cookie");
    let headers = reply.headers.iter().filter(move |(name, _)| is_shared(name));
    headers.map(|(name, value)| (*name, &**value))
}

impl Template {
    fn is_of(&self, reply: &Reply<'_>) -> bool {
        let headers = self.headers.iter().map(|(name, value)| (*name, &**value));
        self.status == reply.status && shared(reply).eq(headers)
    }
}

/// FNV-1a.
fn hash_of(template: u32, location: &str) -> u32 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    location.bytes().fold(0x811c_9dc5 ^ template, mix)
}

fn lines_of(to: &mut Vec<u8>, name: &str, value: &str) {
    for text in [name, "\n", value, "\n"] {
        to.extend_from_slice(text.as_bytes());
    }
}
