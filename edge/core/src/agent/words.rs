//! The words of user agents that mean something, and what each means.

use waypost_wire::agent::Browser;

/// Android.
pub(super) const ANDROID: u32 = 1;
/// An iPhone or an iPod.
pub(super) const IPHONE: u32 = 1 << 1;
/// An iPad that does not call itself a Mac.
pub(super) const IPAD: u32 = 1 << 2;
/// Something that exists on iOS and iPadOS only, even if the device calls itself a Mac.
pub(super) const IOS: u32 = 1 << 3;
/// Windows.
pub(super) const WINDOWS: u32 = 1 << 4;
/// ChromeOS.
pub(super) const CHROME_OS: u32 = 1 << 5;
/// A Mac, or "like Mac OS X".
pub(super) const MAC: u32 = 1 << 6;
/// Linux, or one of the systems built on it.
pub(super) const LINUX: u32 = 1 << 7;
/// A system without a name of its own in the API, though it may also call itself Linux.
pub(super) const OTHER_OS: u32 = 1 << 8;
/// A telephone, if nothing says otherwise.
pub(super) const MOBILE: u32 = 1 << 9;
/// A tablet, if it is not Windows (where "Tablet PC" names a feature).
pub(super) const TABLET: u32 = 1 << 10;
/// A television, if it is not a telephone.
pub(super) const TELEVISION: u32 = 1 << 11;
/// The engine of a browser: what every browser names and hardly any program does.
pub(super) const ENGINE: u32 = 1 << 12;
/// Chrome, unless another browser is named.
pub(super) const CHROME: u32 = 1 << 13;
/// With [`VERSION`] Safari, unless another browser is named.
pub(super) const SAFARI: u32 = 1 << 14;
/// A version that is not behind a browser's name, as Safari has it.
pub(super) const VERSION: u32 = 1 << 15;
/// The built-in browser of an app on Android.
pub(super) const WEB_VIEW: u32 = 1 << 16;
/// An agent that renders the card of a pasted link.
pub(super) const PREVIEW: u32 = 1 << 17;
/// The same, if no engine is named; with an engine, a person looks at a page inside the app.
pub(super) const PREVIEW_APP: u32 = 1 << 18;
/// A crawler, a monitor, a library or another program.
pub(super) const PROGRAM: u32 = 1 << 19;

/// What a word says.
#[derive(Clone, Copy)]
pub(super) struct Meaning {
    /// The constants above.
    pub(super) bits: u32,
    /// The browser the word names, if it names one whatever stands beside it.
    pub(super) browser: Option<Browser>,
}

/// What a known word says. `word` is in lower case and without the digits at its end.
pub(super) fn known(word: &[u8]) -> Option<Meaning> {
    let letter = usize::from(word.first()?.wrapping_sub(b'a'));
    let (&start, &end) = STARTS.get(letter).zip(STARTS.get(letter + 1))?;
    let (_, meaning) = WORDS.get(start..end)?.iter().find(|(text, _)| text.as_bytes() == word)?;
    Some(*meaning)
}

/// What part of a word says, of which `rest` begins somewhere in the word and goes to its end.
/// Programs are named in so many ways that their names are known by what they are made of.
pub(super) fn part(rest: &[u8]) -> Meaning {
    match rest {
        // Mobile networks name themselves after the country.
        [b'b', b'o', b't', b's', b'w', b'a', b'n', b'a', ..] => is(0),
        [b'a', b'r', b'c', b'h', b'i', b'v', ..]
        | [b'b', b'o', b't', ..]
        | [b'c', b'h', b'e', b'c', b'k', ..]
        | [b'c', b'r', b'a', b'w', b'l', ..]
        | [b'f', b'e', b't', b'c', b'h', ..]
        | [b'h', b'e', b'a', b'd', b'l', b'e', b's', b's', ..]
        | [b'm', b'o', b'n', b'i', b't', b'o', b'r', ..]
        | [b's', b'c', b'a', b'n', ..]
        | [b's', b'c', b'r', b'a', b'p', ..]
        | [b's', b'p', b'i', b'd', b'e', b'r', ..]
        | [b's', b'y', b'n', b't', b'h', b'e', b't', b'i', b'c', ..]
        | [b'u', b'p', b't', b'i', b'm', b'e', ..]
        | [b'v', b'a', b'l', b'i', b'd', b'a', b't', ..]
        | b"agent" => is(PROGRAM),
        [b'p', b'r', b'e', b'v', b'i', b'e', b'w', ..]
        | [b'u', b'n', b'f', b'u', b'r', b'l', ..] => is(PREVIEW),
        b"browser" => names(Browser::Other, 0),
        _ => is(0),
    }
}

const fn is(bits: u32) -> Meaning {
    Meaning { bits, browser: None }
}

const fn names(browser: Browser, bits: u32) -> Meaning {
    Meaning { bits, browser: Some(browser) }
}

/// Where in [`WORDS`] the words with each first letter start, and at last where they end.
const STARTS: [usize; 27] = {
    let mut starts = [WORDS.len(); 27];
    let mut letter = 26;
    let mut position = WORDS.len();
    while letter > 0 {
        letter -= 1;
        while position > 0 && WORDS[position - 1].0.as_bytes()[0] == b'a' + letter as u8 {
            position -= 1;
        }
        starts[letter] = position;
    }
    assert!(position == 0, "WORDS is in the order of first letters");
    starts
};

/// The known words, in order.
const WORDS: &[(&str, Meaning)] = &[
    ("adr", is(ANDROID)),
    ("akkoma", is(PREVIEW_APP)),
    ("alipayclient", names(Browser::Other, 0)),
    ("android", is(ANDROID)),
    ("androidtv", is(TELEVISION)),
    ("appinsights", is(PROGRAM)),
    ("appletv", is(TELEVISION)),
    ("applewebkit", is(ENGINE)),
    ("baiduboxapp", names(Browser::Other, 0)),
    ("bb", is(OTHER_OS | MOBILE)),
    ("blackberry", is(OTHER_OS | MOBILE)),
    ("bluesky", is(PREVIEW_APP)),
    ("brave", names(Browser::Other, 0)),
    ("bravia", is(TELEVISION)),
    ("bytedancewebview", names(Browser::TikTok, 0)),
    ("bytelocale", names(Browser::TikTok, 0)),
    ("cardyb", is(PREVIEW)),
    ("chrome", is(CHROME)),
    ("codabot", is(PREVIEW)),
    ("contenttabreceiver", is(PREVIEW)),
    ("crios", names(Browser::Chrome, IOS)),
    ("crkey", is(TELEVISION)),
    ("cros", is(CHROME_OS)),
    ("daumoa", is(PROGRAM)),
    ("ddg", names(Browser::DuckDuckGo, 0)),
    ("discordbot", is(PREVIEW)),
    ("duckduckgo", names(Browser::DuckDuckGo, 0)),
    ("edg", names(Browser::Edge, 0)),
    ("edga", names(Browser::Edge, 0)),
    ("edge", names(Browser::Edge, 0)),
    ("edgios", names(Browser::Edge, IOS)),
    ("electron", names(Browser::Other, 0)),
    ("elinks", is(ENGINE)),
    ("embedly", is(PREVIEW)),
    ("evernoterichlinkbot", is(PREVIEW)),
    ("externalhit", is(PREVIEW)),
    ("facebookexternalhit", is(PREVIEW)),
    ("facebot", is(PREVIEW)),
    ("fban", names(Browser::Facebook, 0)),
    ("fbav", names(Browser::Facebook, 0)),
    ("firefox", names(Browser::Firefox, 0)),
    ("flipboardproxy", is(PREVIEW)),
    ("friendica", is(PREVIEW_APP)),
    ("fxios", names(Browser::Firefox, IOS)),
    ("gecko", is(ENGINE)),
    ("goanna", is(ENGINE)),
    ("googletv", is(TELEVISION)),
    ("gotosocial", is(PREVIEW_APP)),
    ("groupmebot", is(PREVIEW)),
    ("gsa", names(Browser::Google, 0)),
    ("gtmetrix", is(PROGRAM)),
    ("hbbtv", is(TELEVISION | ENGINE)),
    ("http", is(PROGRAM)),
    ("https", is(PROGRAM)),
    ("iemobile", is(MOBILE)),
    ("iframely", is(PREVIEW)),
    ("inspectiontool", is(PROGRAM)),
    ("inspector", is(PROGRAM)),
    ("instagram", names(Browser::Instagram, 0)),
    ("ios", is(IOS)),
    ("ipad", is(IPAD)),
    ("iphone", is(IPHONE)),
    ("ipod", is(IPHONE)),
    ("kaios", is(OTHER_OS | MOBILE)),
    ("kakaotalk", names(Browser::Other, 0)),
    ("keybasebot", is(PREVIEW)),
    ("khtml", is(ENGINE)),
    ("konqueror", is(ENGINE)),
    ("ladybird", is(ENGINE)),
    ("lemmy", is(PREVIEW_APP)),
    ("libweb", is(ENGINE)),
    ("lighthouse", is(PROGRAM)),
    ("line", names(Browser::Line, 0)),
    ("linkedinapp", names(Browser::LinkedIn, 0)),
    ("linkedinbot", is(PREVIEW)),
    ("linkexpanding", is(PREVIEW)),
    ("linkservice", is(PREVIEW)),
    ("linux", is(LINUX)),
    ("lynx", is(ENGINE)),
    ("mac", is(MAC)),
    ("macintosh", is(MAC)),
    ("mastodon", is(PREVIEW_APP)),
    ("mattermost", is(PREVIEW_APP)),
    ("maxthon", names(Browser::Other, 0)),
    ("mediumbot", is(PREVIEW)),
    ("metaiab", names(Browser::Facebook, 0)),
    ("micromessenger", names(Browser::WeChat, 0)),
    ("midp", is(OTHER_OS | MOBILE | ENGINE)),
    ("mini", is(MOBILE)),
    ("misskey", is(PREVIEW_APP)),
    ("mobi", is(MOBILE)),
    ("mobile", is(MOBILE)),
    ("msie", is(ENGINE)),
    ("musical", names(Browser::TikTok, 0)),
    ("naver", names(Browser::Other, 0)),
    ("nintendo", is(OTHER_OS | ENGINE)),
    ("notion", is(PREVIEW_APP)),
    ("odklbot", is(PREVIEW)),
    ("onebox", is(PREVIEW)),
    ("opengraph", is(PREVIEW)),
    ("openharmony", is(OTHER_OS)),
    ("opera", names(Browser::Opera, ENGINE)),
    ("opios", names(Browser::Opera, IOS)),
    ("opr", names(Browser::Opera, 0)),
    ("opt", names(Browser::Opera, 0)),
    ("opx", names(Browser::Opera, 0)),
    ("pagerenderer", is(PREVIEW)),
    ("palemoon", names(Browser::Other, 0)),
    ("peekbot", is(PREVIEW)),
    ("phantomjs", is(PROGRAM)),
    ("phone", is(MOBILE)),
    ("pingdomtms", is(PROGRAM)),
    ("pinterest", names(Browser::Pinterest, PREVIEW_APP)),
    ("pinterestbot", is(PREVIEW)),
    ("pixelfed", is(PREVIEW_APP)),
    ("playstation", is(OTHER_OS | ENGINE)),
    ("playwright", is(PROGRAM)),
    ("pleroma", is(PREVIEW_APP)),
    ("ptst", is(PROGRAM)),
    ("quora", is(PREVIEW_APP)),
    ("redditbot", is(PREVIEW)),
    ("safari", is(SAFARI)),
    ("samsungbrowser", names(Browser::Samsung, 0)),
    ("seamonkey", names(Browser::Other, 0)),
    ("selenium", is(PROGRAM)),
    ("series", is(OTHER_OS | MOBILE)),
    ("silk", names(Browser::Other, ANDROID | TABLET)),
    ("slack", is(PREVIEW_APP)),
    ("slackbot", is(PREVIEW)),
    ("slurp", is(PROGRAM)),
    ("smarttv", is(TELEVISION)),
    ("snapchat", names(Browser::Snapchat, 0)),
    ("steamchaturllookup", is(PREVIEW)),
    ("summalybot", is(PREVIEW)),
    ("symbian", is(OTHER_OS | MOBILE)),
    ("symbianos", is(OTHER_OS | MOBILE)),
    ("synapse", is(PREVIEW_APP)),
    ("tablet", is(TABLET)),
    ("telegram", names(Browser::Other, 0)),
    ("telegrambot", is(PREVIEW)),
    ("tiktok", names(Browser::TikTok, 0)),
    ("tizen", is(OTHER_OS)),
    ("trident", is(ENGINE)),
    ("trill", names(Browser::TikTok, 0)),
    ("tumblr", is(PREVIEW_APP)),
    ("tv", is(TELEVISION)),
    ("twitter", names(Browser::X, 0)),
    ("twitterandroid", names(Browser::X, 0)),
    ("twitterbot", is(PREVIEW)),
    ("ucweb", names(Browser::Other, ENGINE)),
    ("version", is(VERSION)),
    ("viber", is(PREVIEW_APP)),
    ("vivaldi", names(Browser::Other, 0)),
    ("vkshare", is(PREVIEW)),
    ("web0s", is(OTHER_OS)),
    ("webkit", is(ENGINE)),
    ("webos", is(OTHER_OS)),
    ("whale", names(Browser::Other, 0)),
    ("whatsapp", is(PREVIEW_APP)),
    ("windows", is(WINDOWS)),
    ("windowsce", is(WINDOWS | MOBILE)),
    ("wv", is(WEB_VIEW)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_stands_once() {
        assert!(WORDS.windows(2).all(|pair| matches!(pair, [(one, _), (next, _)] if one < next)));
        for (word, meaning) in WORDS {
            let found = known(word.as_bytes()).expect(word);
            assert_eq!((found.bits, found.browser), (meaning.bits, meaning.browser), "{word}");
            assert!(
                word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
                "{word}"
            );
            assert!(!word.ends_with(|last: char| last.is_ascii_digit()), "{word}");
        }
        for other in ["", "a", "z", "zz", "0", "{", "chromee", "chrom"] {
            assert!(known(other.as_bytes()).is_none(), "{other}");
        }
    }
}
