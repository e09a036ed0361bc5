//! What a user agent says about a visitor.
//!
//! A scanner of words, not a parser of versions: it splits the user agent at everything that is
//! no ASCII letter or digit and looks the words up. It never allocates and takes linear time.

mod words;

use waypost_wire::agent::{Browser, Device, Os};

use self::words::{
    ANDROID, CHROME, CHROME_OS, ENGINE, IOS, IPAD, IPHONE, LINUX, MAC, MOBILE, Meaning, OTHER_OS,
    PREVIEW, PREVIEW_APP, PROGRAM, SAFARI, TABLET, TELEVISION, VERSION, WEB_VIEW, WINDOWS,
};

/// Bytes of a user agent that are looked at; browsers stay below, even inside apps.
pub const MAX_BYTES: usize = 512;

/// What a user agent claims. Nothing in it is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Class of device; [`Device::Bot`] if and only if `robot` is present.
    pub device: Device,
    /// Operating system, of robots too if they name one.
    pub os: Os,
    /// Browser or app, of robots too if they name one.
    pub browser: Browser,
    /// Present if no person looks at the answer.
    pub robot: Option<Robot>,
}

/// A program that shows the answer to nobody, or to somebody else later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Robot {
    /// A crawler, a monitor, a library, an app that fetches in the background, or nothing named.
    Bot,
    /// Fetches a link that somebody pasted into a message or a post, to render its card.
    LinkPreview,
}

/// Reads a user agent.
///
/// A robot is what says so: by a name, by a web address (which people's browsers never carry), or
/// by not naming the engine of a browser. The last covers libraries, apps fetching by themselves
/// and the empty user agent, which is nearly always a program's. A robot that sends exactly what
/// a browser sends is not found here.
pub fn parse(user_agent: &str) -> Agent {
    let said = Said::by(user_agent);
    let os = said.os();
    let robot = said.robot();
    Agent {
        device: robot.map_or_else(|| said.device(os), |_| Device::Bot),
        os,
        browser: said.browser(os),
        robot,
    }
}

/// All that the words of a user agent say, whatever their order.
struct Said {
    bits: u32,
    /// The browser named last: those built on another one name themselves behind it.
    named: Option<Browser>,
}

impl Said {
    fn by(user_agent: &str) -> Self {
        let mut lower = [0; MAX_BYTES];
        let mut length = 0;
        for (to, from) in lower.iter_mut().zip(user_agent.bytes()) {
            *to = from.to_ascii_lowercase();
            length += 1;
        }
        let mut said = Self {
            bits: 0,
            named: None,
        };
        let mut before = b' ';
        let mut rest = lower.get(..length).unwrap_or_default();
        while let Some(&byte) = rest.first() {
            let end = rest
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end.max(1));
            if byte.is_ascii_alphanumeric() {
                said.hear(word, before);
            }
            before = byte;
            rest = after;
        }
        said
    }

    /// Adds what a word says that stands behind the byte `before`.
    fn hear(&mut self, word: &[u8], before: u8) {
        // A web or mail address that stands for its owner, and "Claude-User" and its like.
        if matches!((before, word), (b'.', b"com") | (b'-', b"user")) {
            self.bits |= PROGRAM;
        }
        let digits = word
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let stem = word.get(..word.len() - digits).unwrap_or_default();
        if let Some(meaning) = words::known(stem) {
            self.add(meaning);
        } else if !PHONES.iter().any(|phone| stem.starts_with(phone)) {
            for start in 0..stem.len() {
                self.add(words::part(stem.get(start..).unwrap_or_default()));
            }
        }
    }

    fn add(&mut self, meaning: Meaning) {
        self.bits |= meaning.bits;
        self.named = meaning.browser.or(self.named);
    }

    fn any(&self, bits: u32) -> bool {
        self.bits & bits != 0
    }

    fn robot(&self) -> Option<Robot> {
        if self.any(PREVIEW) || self.any(PREVIEW_APP) && !self.any(ENGINE) {
            return Some(Robot::LinkPreview);
        }
        (self.any(PROGRAM) || !self.any(ENGINE)).then_some(Robot::Bot)
    }

    /// Windows first, because its telephones also called themselves Android and iPhone; the Mac
    /// late, because iPhones are "like Mac OS X".
    fn os(&self) -> Os {
        if self.any(WINDOWS) {
            return Os::Windows;
        }
        if self.any(CHROME_OS) {
            return Os::ChromeOs;
        }
        // No Mac is mobile: that is an iPad in desktop mode that forgot a word.
        if self.any(IPHONE | IPAD | IOS) || self.any(MAC) && self.any(MOBILE) {
            return Os::Ios;
        }
        if self.any(ANDROID) {
            return Os::Android;
        }
        if self.any(OTHER_OS) {
            return Os::Other;
        }
        if self.any(MAC) {
            return Os::MacOs;
        }
        if self.any(LINUX) {
            Os::Linux
        } else {
            Os::Other
        }
    }

    /// The device of a person.
    fn device(&self, os: Os) -> Device {
        match os {
            Os::Windows if self.any(MOBILE) => Device::Mobile,
            Os::Windows | Os::ChromeOs => Device::Desktop,
            _ if self.any(IPAD | TABLET) => Device::Tablet,
            Os::Ios if self.any(IPHONE) || !self.any(MAC) => Device::Mobile,
            Os::Ios => Device::Tablet,
            _ if self.any(MOBILE) => Device::Mobile,
            _ if self.any(TELEVISION) => Device::Desktop,
            // Browsers say "Mobile" on Android telephones only.
            Os::Android => Device::Tablet,
            _ => Device::Desktop,
        }
    }

    fn browser(&self, os: Os) -> Browser {
        if let Some(browser) = self.named {
            return browser;
        }
        if self.any(WEB_VIEW) {
            return Browser::Other;
        }
        if self.any(CHROME) {
            return Browser::Chrome;
        }
        let has_safari = matches!(os, Os::Ios | Os::MacOs | Os::Windows);
        if has_safari && self.any(SAFARI) && self.any(VERSION) {
            Browser::Safari
        } else {
            Browser::Other
        }
    }
}

/// Makers of telephones whose names contain what names of robots are made of.
const PHONES: [&[u8]; 2] = [b"cubot", b"idbot"];
