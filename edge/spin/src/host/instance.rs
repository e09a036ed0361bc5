use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use spin_sdk::variables;
use spin_sdk::wit_bindgen::spawn;
use waypost_outpost::Outpost;

use super::platform::{SpinPlatform, draw, now, pause, within};
use crate::log::Log;
use crate::settings::Settings;

/// The first request of an instance waits this long for the state: without it its visitor would
/// not be told apart from others. Then the state is read on beside it.
const STATE_WAIT_MS: u32 = 300;

/// Longest delivery of clicks, its wait for more of them included. An instance lives as long, and
/// Spin has a limited number of them (1,000 unless set): while nobody takes clicks, a server with
/// 1,000 requests a second has 80 instances more.
const DELIVERY_MAX_MS: u32 = 10_000;

thread_local! {
    static INSTANCE: RefCell<Option<Rc<Instance>>> = const { RefCell::new(None) };
}

/// What an instance keeps between requests. It goes without notice, by default after 128 requests
/// or a second of idleness, but not before what was spawned has ended.
pub(super) struct Instance {
    pub(super) settings: Settings,
    pub(super) outpost: Outpost,
    pub(super) platform: SpinPlatform,
    /// A request was here before.
    has_met: Cell<bool>,
}

impl Instance {
    /// This instance, set up with the first request; `None` if its settings cannot be used, which
    /// is tried again with every request.
    pub(super) async fn get() -> Option<Rc<Self>> {
        let known = INSTANCE.with_borrow(Clone::clone);
        if known.is_some() {
            return known;
        }
        let settings = match read_settings().await {
            Ok(settings) => settings,
            Err(faults) => {
                thread_local!(static LOG: Log = Log::default());
                for fault in faults {
                    LOG.with(|log| log.line(now(), fault));
                }
                return None;
            }
        };
        let instance = Rc::new(Self {
            outpost: Outpost::new(settings.edge.clone(), draw(), now()),
            platform: SpinPlatform::new(settings.edge.store_timeout_ms),
            settings,
            has_met: Cell::new(false),
        });
        if instance.settings.edge.sink.is_none() {
            let line = "clicks are not counted: neither waypost_origin_url nor waypost_sqs_queue_url is set";
            instance.platform.log.line(now(), line.to_owned());
        }
        INSTANCE.set(Some(Rc::clone(&instance)));
        Some(instance)
    }

    /// Reads the state before the instance's first answer, if that does not take long.
    pub(super) async fn meet(self: &Rc<Self>) {
        if self.has_met.replace(true) || !self.outpost.duties(now()).refresh {
            return;
        }
        let refresh = Rc::clone(self).refresh();
        let refresh: Pin<Box<dyn Future<Output = ()>>> = Box::pin(refresh);
        if let Either::Right((_, refresh)) =
            select(refresh, std::pin::pin!(pause(STATE_WAIT_MS))).await
        {
            spawn(refresh);
        }
    }

    /// Does what has to be done beside answering, after the answer.
    pub(super) fn after_answer(self: &Rc<Self>) {
        let duties = self.outpost.duties(now());
        if duties.refresh {
            spawn(Rc::clone(self).refresh());
        }
        if let Some(after_ms) = duties.deliver_after_ms {
            spawn(Rc::clone(self).deliver(after_ms));
        }
    }

    async fn refresh(self: Rc<Self>) {
        self.outpost.refresh(&self.platform).await;
    }

    async fn deliver(self: Rc<Self>, after_ms: u32) {
        let delivery = self.outpost.deliver(after_ms, &self.platform);
        if within(DELIVERY_MAX_MS, delivery).await == Some(true) {
            return;
        }
        let waiting = self.outpost.clicks_waiting();
        if waiting > 0 {
            let line = format!(
                "clicks cannot be delivered; {waiting} wait, and go with this instance unless another request comes"
            );
            self.platform.log.line(now(), line);
        }
    }
}

async fn read_settings() -> Result<Settings, Vec<String>> {
    let mut values = Vec::new();
    let mut faults = Vec::new();
    for name in Settings::names() {
        match variables::get(name).await {
            Ok(value) => values.push((name, value)),
            Err(variables::Error::Undefined(_)) => {}
            // What a provider says of its error is its own text; a secret's value is not in it,
            // because there was none.
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Settings::read(|name| {
        values.iter().find(|(its_name, _)| *its_name == name).map(|(_, value)| value.clone())
    })
}
