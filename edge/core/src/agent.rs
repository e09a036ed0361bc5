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
const MAX_BYTES: usize = 512;

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
        let mut said = Self { bits: 0, named: None };
        let mut before = b' ';
        let mut rest = lower.get(..length).unwrap_or_default();
        while let Some(&byte) = rest.first() {
            let end =
                rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len());
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
        let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
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

    /// Windows first, because its telephones also called themselves Android and iPhone; iOS before
    /// Android, because apps for both name both on iOS; the Mac late, because iPhones are "like
    /// Mac OS X"; Linux last, because most systems are built on it.
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
        if self.any(LINUX) { Os::Linux } else { Os::Other }
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
            Os::Linux | Os::MacOs | Os::Other => Device::Desktop,
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

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    /// Device, system, browser, and the user agent of a person.
    const BROWSERS: &str = "
mobile ios safari Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.6 Mobile/15E148 Safari/604.1
mobile ios chrome Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1
mobile ios firefox Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/127.0 Mobile/15E148 Safari/605.1.15
mobile ios edge Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 EdgiOS/126.0 Mobile/15E148 Safari/605.1.15
mobile ios duckduckgo Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.6 Mobile/15E148 Safari/604.1 Ddg/26.6
mobile ios other Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148
mobile android chrome Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36
mobile android edge Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0
mobile android samsung Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36
mobile android opera Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36 OPR/82.0.0.0
mobile android opera Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16
mobile android firefox Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0
mobile android chrome Mozilla/5.0 (Linux; Android 4.2.1; CUBOT ONE Build/JOP40D) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/29.0.1547.72 Mobile Safari/537.36
mobile android other Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.50 Mobile Safari/537.36
mobile android other Mozilla/5.0 (Linux; U; Android 13; en-us; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.127 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.4.0-g
mobile other firefox Mozilla/5.0 (Mobile; Nokia 2780 Flip; rv:84.0) Gecko/84.0 Firefox/84.0 KAIOS/3.1
mobile other other Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile HuaweiBrowser/5.0.4.300
mobile windows other Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; Trident/7.0; Touch; rv:11.0; IEMobile/11.0; NOKIA; Lumia 520) like iPhone OS 7_0_3 Mac OS X AppleWebKit/537 (KHTML, like Gecko) Mobile Safari/537
tablet ios safari Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/27.0 Mobile/15E148 Safari/604.1
tablet ios x Mozilla/5.0 (iPad; CPU OS 9_3_5 like Mac OS X) AppleWebKit/601.1.46 (KHTML, like Gecko) Mobile/13G36 Twitter for iPhone/7.8
tablet ios chrome Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126 Version/11.1.1 Safari/605.1.15
tablet ios safari Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1
tablet android chrome Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
tablet android firefox Mozilla/5.0 (Android 14; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0
tablet android other Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/126.2.1 like Chrome/126.0.6478.122 Safari/537.36
tablet android other Mozilla/5.0 (Linux; U; Android 4.0.3; en-gb; KFTT Build/IML74K) AppleWebKit/537.36 (KHTML, like Gecko) Silk/3.25 like Chrome/34.0.1847.137 Mobile Safari/537.36
mobile ios other Mozilla/5.0 (iOS; U; en-US) AppleWebKit/533.19.4 (KHTML, like Gecko) AdobeAIR/19.0
desktop macos other Mozilla/5.0 (Macintosh; Intel Mac OS X 10.9; rv:36.0) Gecko/20100101 Firefox/36.0 SeaMonkey/2.33.1
desktop macos safari Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.6 Safari/605.1.15
desktop windows chrome Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
desktop windows edge Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0
desktop windows opera Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 OPR/112.0.0.0
desktop windows other Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Tablet PC 2.0)
desktop chromeos chrome Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
desktop linux firefox Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0
desktop linux other Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15
desktop other firefox Mozilla/5.0 (X11; FreeBSD amd64; rv:127.0) Gecko/20100101 Firefox/127.0
desktop android chrome Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2 Build/STT2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
desktop other chrome Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108.0.5359.211 Safari/537.36 WebAppManager
desktop other other Lynx/2.9.0dev.12 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.7.8
";

    /// The beginning (see below), the browser, and the rest of a user agent.
    const APPS: &str = "
iphone facebook [FBAN/FBIOS;FBAV/465.0.1.41.103;FBBV/602060281;FBDV/iPhone15,3;FBMD/iPhone;FBSN/iOS;FBSV/17.5.1;FBSS/3;FBCR/OrangeBotswana;FBID/phone;FBLC/en_GB;FBOP/80]
android facebook [FB_IAB/FB4A;FBAV/468.0.0.50.82;]
android facebook MetaIAB Facebook
iphone instagram Instagram 336.0.9.30.89 (iPhone15,3; iOS 17_5_1; en_SA@calendar=gregorian; en; scale=3.00; 1290x2796; 608549309)
android instagram Instagram 335.0.0.39.93 Android (34/14; 450dpi; 1080x2115; samsung; SM-S918B; dm3q; qcom; de_DE; 608720130)
iphone tiktok musical_ly_34.9.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en Region/US WKWebView/1 BytedanceWebview/d8a21c6
android tiktok trill_340503 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/trill app_version/34.5.3 ByteLocale/ja-JP
iphone snapchat Snapchat/12.90.0.36 (like Safari/8618.2.12.10.9, panda)
iphone pinterest [Pinterest/iOS]
android pinterest [Pinterest/Android]
iphone linkedin [LinkedInApp]/9.29.6845
iphone x Twitter for iPhone/10.44
android x TwitterAndroid
iphone line Safari Line/14.9.1
android wechat XWEB/1160117 MMWEBSDK/20240501 MicroMessenger/8.0.50.2701(0x28003252) WeChat/arm64 Weixin NetType/WIFI Language/zh_CN
iphone google GSA/322.1.642781290 Safari/604.1
android other Telegram-Android/11.3.3 (Samsung SM-S918B; Android 14; SDK 34; HIGH)
";

    const ANDROID_APP: &str = "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.71 Mobile Safari/537.36";
    const IPHONE_APP: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";

    fn person(device: Device, os: Os, browser: Browser) -> Agent {
        Agent { device, os, browser, robot: None }
    }

    #[test]
    fn browsers() {
        let mut count = 0;
        for line in BROWSERS.lines().skip(1) {
            let mut parts = line.splitn(4, ' ');
            let mut next = || parts.next().expect(line);
            let device = Device::from_name(next()).expect(line);
            let os = Os::from_name(next()).expect(line);
            let browser = Browser::from_name(next()).expect(line);
            assert_eq!(parse(next()), person(device, os, browser), "{line}");
            count += 1;
        }
        assert_eq!(count, 40);
    }

    #[test]
    fn browsers_built_into_apps() {
        let mut count = 0;
        for line in APPS.lines().skip(1) {
            let mut parts = line.splitn(3, ' ');
            let mut next = || parts.next().expect(line);
            let (os, start) = match next() {
                "android" => (Os::Android, ANDROID_APP),
                _ => (Os::Ios, IPHONE_APP),
            };
            let browser = Browser::from_name(next()).expect(line);
            let user_agent = format!("{start} {}", next());
            assert_eq!(parse(&user_agent), person(Device::Mobile, os, browser), "{line}");
            count += 1;
        }
        assert_eq!(count, 17);
    }

    #[test]
    fn link_previews() {
        let cases = [
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "facebookexternalhit/1.1;kakaotalk-scrap/1.0;+https://devtalk.kakao.com/t/scrap/33984",
            "facebookexternalhit/1.1;line-poker/1.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
            "Twitterbot/1.0",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Slack-ImgProxy (+https://api.slack.com/robots)",
            "WhatsApp/2.23.20.0 A",
            "WhatsApp/2",
            "TelegramBot (like TwitterBot)",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
            "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
            "Iframely/1.3.1 (+https://iframely.com/docs/about)",
            "Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)",
            "Pinterest/0.2 (+http://www.pinterest.com/)",
            "http.rb/5.1.1 (Mastodon/4.2.10; +https://mastodon.example/) Bot",
            "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)",
            "Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)",
            "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)",
            "Viber",
            "Snap URL Preview Service; bot; snapchat; https://developers.snap.com/robots",
            "Synapse (bot; +https://github.com/matrix-org/synapse)",
        ];
        for user_agent in cases {
            let agent = parse(user_agent);
            assert_eq!(
                (agent.robot, agent.device),
                (Some(Robot::LinkPreview), Device::Bot),
                "{user_agent}"
            );
        }
    }

    #[test]
    fn bots() {
        let cases = [
            "",
            " ",
            "-",
            "\0",
            "Mozilla/5.0",
            "Mozilla/5.0 (compatible)",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)",
            "curl/8.5.0",
            "Wget/1.21.4",
            "python-requests/2.32.3",
            "Go-http-client/2.0",
            "okhttp/4.12.0",
            "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP1A.240505.004)",
            "MobileSafari/8618.2.12.11.6 CFNetwork/1498.0.3 Darwin/23.5.0",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.61 Mobile Safari/537.36 (compatible; Googlebot/2.1)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/116.0.1938.76 Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.6478.55 Safari/537.36",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0)",
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Safari/537.36 PingMonitorX",
            "Mozilla/5.0 (X11; Linux x86_64; rv:91.0) Gecko/20100101 Firefox/91.0 (ops@acme.com)",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:91.0) Gecko/20100101 Firefox/91.0",
            "Instagram 336.0.9.30.89 Android (34/14; 450dpi; 1080x2115; samsung; SM-S918B)",
            "[FBAN/FB4A;FBAV/130.0.321;FBDV/LG-P920;FBSV/2.2.2;]",
            "\u{1f916}",
        ];
        for user_agent in cases {
            let agent = parse(user_agent);
            assert_eq!(
                (agent.robot, agent.device),
                (Some(Robot::Bot), Device::Bot),
                "{user_agent}"
            );
        }
    }

    #[test]
    fn a_robot_keeps_the_system_and_the_browser_it_names() {
        let smartphone = "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.61 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
        let expected = Agent {
            device: Device::Bot,
            os: Os::Android,
            browser: Browser::Chrome,
            robot: Some(Robot::Bot),
        };
        assert_eq!(parse(smartphone), expected);
    }

    #[test]
    fn case_does_not_count() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.6 Safari/605.1.15";
        assert_eq!(parse(&mac.to_ascii_uppercase()), parse(mac));
        assert_eq!(parse(&mac.to_ascii_lowercase()), parse(mac));
        // Letters that only Unicode folds to ASCII are no letters here.
        assert_eq!(parse(&mac.replace("Kit", "\u{212a}it")).robot, None);
        assert_eq!(parse(&mac.replace("OS X", "O\u{17f} X")).os, Os::MacOs);
    }

    #[test]
    fn nothing_behind_the_limit_is_read() {
        let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0";
        let space = " ".repeat(512 - browser.len() - "bot".len());
        assert_eq!(parse(&format!("{browser}{space}bot")).robot, Some(Robot::Bot));
        assert_eq!(parse(&format!("{browser}{space} bot")).robot, None);
    }

    #[test]
    fn hostile_user_agents_have_an_answer() {
        let expected = Agent {
            device: Device::Bot,
            os: Os::Other,
            browser: Browser::Other,
            robot: Some(Robot::Bot),
        };
        let cases: [String; 6] = [
            "x".repeat(1_000_000),
            "/".repeat(1_000_000),
            "9".repeat(1_000),
            "\u{e9}".repeat(1_000),
            "bo".repeat(1_000),
            format!("{}\u{1f600}", "a".repeat(MAX_BYTES - 2)),
        ];
        for user_agent in cases {
            assert_eq!(parse(&user_agent), expected);
        }
    }
}
