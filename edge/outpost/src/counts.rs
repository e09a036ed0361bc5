use std::cell::Cell;
use std::fmt::Write;

/// What an instance has done since its start. Nothing here tells links or visitors apart.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        #[derive(Debug, Default)]
        pub(crate) struct Counts { $($(#[$doc])* pub(crate) $name: Counter,)+ }

        impl Counts {
            /// A JSON object of those that are not 0.
            pub(crate) fn to_json(&self) -> String {
                let mut json = String::from("{");
                $(self.$name.put(&mut json, stringify!($name));)+
                json.push('}');
                json
            }
        }
    };
}

counts! {
    /// Requests answered.
    requests,
    /// Records found in memory.
    memory_hits,
    /// Absences found in memory.
    absence_hits,
    /// Waits for a read that another request had begun.
    shared_reads,
    /// Reads of the store.
    store_reads,
    /// Reads of the store that failed.
    store_failures,
    /// Records from the store that the state knew to be outdated.
    outdated_reads,
    /// Questions to the origin.
    origin_questions,
    /// Questions that were not answered, or not by the origin.
    origin_failures,
    /// Answers from a record that is not believed any more, because nothing newer could be read.
    stale_answers,
    /// Misses that the host's rate limit kept from the origin.
    misses_refused,
    /// States read.
    states_read,
    /// Times the state could not be read, or was too old.
    state_failures,
    /// Clicks numbered.
    clicks_accepted,
    /// Clicks that somebody durable has.
    clicks_delivered,
    /// Clicks that will never arrive.
    clicks_given_up,
    /// Tries to deliver that failed.
    delivery_failures,
}

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.set(value);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }

    fn put(&self, json: &mut String, name: &str) {
        if self.0.get() != 0 {
            let comma = if json.len() > 1 { "," } else { "" };
            let _ = write!(json, "{comma}\"{name}\":{}", self.0.get());
        }
    }
}
