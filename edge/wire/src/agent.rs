//! Device, operating system and browser: the words that rules, clicks and statistics share.
//!
//! Every value has a code, which is stored in link records, clicks and rollups, and a name, which
//! the API speaks. Both are for ever: a new value takes the next free code, a value that is no
//! longer wanted keeps its own. What a user agent says about itself is a claim. In particular,
//! Safari on an iPad asks for desktop pages by default and then calls itself a Mac, so most iPads
//! count as [`Os::MacOs`] and [`Device::Desktop`].

/// Defines an enum whose values have a stored code and an API name.
macro_rules! vocabulary {
    ($(#[$about:meta])* $kind:ident { $($(#[$meaning:meta])* $value:ident = $code:literal $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $kind {
            $($(#[$meaning])* $value = $code,)+
        }

        impl $kind {
            /// Every value, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// The byte this value is stored as.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value stored as `code`; `None` for codes this version does not know.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$value),)+
                    _ => None,
                }
            }

            /// The word for this value in the API: lower case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }

            /// The value called `name`, in exactly this spelling.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$value),)+
                    _ => None,
                }
            }
        }
    };
}

vocabulary! {
    /// Class of a visitor's device.
    Device {
        /// No person: a program that says so, or whose user agent no browser sends.
        Bot = 0 "bot",
        /// Everything with a screen that is neither telephone nor tablet: televisions too.
        Desktop = 1 "desktop",
        /// A telephone.
        Mobile = 2 "mobile",
        /// A tablet that says so; see the module about iPads.
        Tablet = 3 "tablet",
    }
}

vocabulary! {
    /// A visitor's operating system.
    Os {
        /// None of the others, or none named.
        Other = 0 "other",
        /// Android, and systems that call themselves Android.
        Android = 1 "android",
        /// ChromeOS.
        ChromeOs = 2 "chromeos",
        /// iOS and iPadOS; see the module about iPads.
        Ios = 3 "ios",
        /// Linux on a desktop.
        Linux = 4 "linux",
        /// macOS; see the module about iPads.
        MacOs = 5 "macos",
        /// Windows, on telephones too.
        Windows = 6 "windows",
    }
}

vocabulary! {
    /// A visitor's browser, or the app whose built-in browser shows the page.
    Browser {
        /// None of the others: unnamed built-in browsers of apps too.
        Other = 0 "other",
        /// Chrome and Chromium, and browsers that hide behind its name (Brave).
        Chrome = 1 "chrome",
        /// DuckDuckGo.
        DuckDuckGo = 2 "duckduckgo",
        /// Edge.
        Edge = 3 "edge",
        /// In the apps Facebook and Messenger.
        Facebook = 4 "facebook",
        /// Firefox.
        Firefox = 5 "firefox",
        /// In the Google app.
        Google = 6 "google",
        /// In the app Instagram.
        Instagram = 7 "instagram",
        /// In the app LINE.
        Line = 8 "line",
        /// In the app LinkedIn.
        LinkedIn = 9 "linkedin",
        /// Opera.
        Opera = 10 "opera",
        /// In the app Pinterest.
        Pinterest = 11 "pinterest",
        /// Safari.
        Safari = 12 "safari",
        /// Samsung Internet.
        Samsung = 13 "samsung",
        /// In the app Snapchat.
        Snapchat = 14 "snapchat",
        /// In the app TikTok.
        TikTok = 15 "tiktok",
        /// In the app WeChat.
        WeChat = 16 "wechat",
        /// In the app X, formerly Twitter.
        X = 17 "x",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_for_ever() {
        let devices = Device::ALL.iter().map(|device| (device.code(), device.name()));
        assert!(devices.eq([(0, "bot"), (1, "desktop"), (2, "mobile"), (3, "tablet")]));
        let systems = Os::ALL.iter().map(|os| (os.code(), os.name()));
        assert!(systems.eq([
            (0, "other"),
            (1, "android"),
            (2, "chromeos"),
            (3, "ios"),
            (4, "linux"),
            (5, "macos"),
            (6, "windows"),
        ]));
        let browsers = Browser::ALL.iter().map(|browser| (browser.code(), browser.name()));
        assert!(browsers.eq([
            (0, "other"),
            (1, "chrome"),
            (2, "duckduckgo"),
            (3, "edge"),
            (4, "facebook"),
            (5, "firefox"),
            (6, "google"),
            (7, "instagram"),
            (8, "line"),
            (9, "linkedin"),
            (10, "opera"),
            (11, "pinterest"),
            (12, "safari"),
            (13, "samsung"),
            (14, "snapchat"),
            (15, "tiktok"),
            (16, "wechat"),
            (17, "x"),
        ]));
    }

    #[test]
    fn codes_and_names_lead_back_to_their_value_and_others_nowhere() {
        for code in 0..=u8::MAX {
            assert_eq!(Device::from_code(code), Device::ALL.get(usize::from(code)).copied());
            assert_eq!(Os::from_code(code), Os::ALL.get(usize::from(code)).copied());
            assert_eq!(Browser::from_code(code), Browser::ALL.get(usize::from(code)).copied());
        }
        for &device in Device::ALL {
            assert_eq!(Device::from_name(device.name()), Some(device));
        }
        for &os in Os::ALL {
            assert_eq!(Os::from_name(os.name()), Some(os));
        }
        for &browser in Browser::ALL {
            assert_eq!(Browser::from_name(browser.name()), Some(browser));
        }
        for wrong in ["", "IOS", " ios", "ios ", "ipados", "\u{130}os"] {
            assert_eq!(Os::from_name(wrong), None, "{wrong:?}");
        }
    }
}
