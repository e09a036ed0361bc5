//! The words of the pages. A new language is one more table, listed in [`LANGUAGES`].

use crate::language;

/// Everything the pages say, in one language.
#[derive(Debug)]
pub(super) struct Text {
    /// BCP 47 tag.
    pub(super) language: &'static str,

    pub(super) bad_request: Message,
    pub(super) blocked_abuse: Message,
    pub(super) blocked_legal: Message,
    pub(super) gone: Message,
    pub(super) home: Message,
    pub(super) method_not_allowed: Message,
    pub(super) not_found: Message,
    pub(super) unavailable: Message,
    pub(super) wrong_host: Message,

    pub(super) password: Message,
    pub(super) password_label: &'static str,
    pub(super) password_button: &'static str,
    pub(super) password_wrong: &'static str,
    pub(super) password_too_many: &'static str,

    pub(super) preview: Message,
    pub(super) short_link_label: &'static str,
    pub(super) title_label: &'static str,
    pub(super) destination_label: &'static str,
    /// Names the destination with its host in Unicode.
    pub(super) readable_label: &'static str,
    pub(super) created_label: &'static str,
    pub(super) rules_note: &'static str,
    /// The host follows after a space.
    pub(super) continue_to: &'static str,
    pub(super) continue_in_app: &'static str,

    /// What stands behind the day of the month in a date.
    pub(super) day_suffix: &'static str,
    pub(super) months: [&'static str; 12],
}

/// A heading and what it means for the visitor.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) heading: &'static str,
    pub(super) body: &'static str,
}

/// All languages; the first is used when none suits.
pub(super) const LANGUAGES: [&Text; 2] = [&ENGLISH, &GERMAN];

impl Text {
    /// The language that suits the value of an `Accept-Language` header best.
    pub(super) fn for_visitor(accept_language: Option<&str>) -> &'static Self {
        let offered = LANGUAGES.map(|text| text.language);
        accept_language
            .and_then(|accepted| language::choose(accepted, &offered))
            .and_then(|chosen| LANGUAGES.into_iter().find(|text| text.language == chosen))
            .unwrap_or(&ENGLISH)
    }
}

const ENGLISH: Text = Text {
    language: "en",

    bad_request: Message {
        heading: "This address is not valid",
        body: "No link here looks like this. Check that the address was copied completely.",
    },
    blocked_abuse: Message {
        heading: "This link is blocked",
        body: "It was switched off because it may be harmful or breaks the rules of this service.",
    },
    blocked_legal: Message {
        heading: "Unavailable for legal reasons",
        body: "Access to this link is blocked because of a legal demand.",
    },
    gone: Message {
        heading: "This link has ended",
        body: "It was removed, has expired, or was used as often as it could be. \
               Whoever shared it may have a new one.",
    },
    home: Message {
        heading: "This is a link service",
        body: "Short links on this host lead to other addresses. To see where one leads \
               before you follow it, add a plus sign (+) to its end.",
    },
    method_not_allowed: Message {
        heading: "This address can only be opened",
        body: "The request tried to do something else with it. Open the link in a browser.",
    },
    not_found: Message {
        heading: "Link not found",
        body: "There is no link at this address. Check it for typing mistakes: \
               capital and small letters can make a difference.",
    },
    unavailable: Message {
        heading: "Please try again in a moment",
        body: "This link cannot be opened right now. The problem is on our side \
               and usually passes quickly.",
    },
    wrong_host: Message {
        heading: "This host is not served here",
        body: "The link service does not know the host name in this address. If it is yours, \
               check its DNS records and the domains set up in the service.",
    },

    password: Message {
        heading: "Password required",
        body: "This link is protected. Enter the password you were given for it.",
    },
    password_label: "Password",
    password_button: "Open link",
    password_wrong: "That password is not right. Please try again.",
    password_too_many: "Too many attempts. Wait a few minutes, then try again.",

    preview: Message {
        heading: "Where this link leads",
        body: "Nothing has been opened yet. Check the destination before you continue.",
    },
    short_link_label: "Short link",
    title_label: "Title",
    destination_label: "Destination",
    readable_label: "Also written as",
    created_label: "Created",
    rules_note: "This link has rules: depending on things like country, device, language or time, \
                 it may lead somewhere else.",
    continue_to: "Continue to",
    continue_in_app: "Open in an app",

    day_suffix: "",
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
};

const GERMAN: Text = Text {
    language: "de",

    bad_request: Message {
        heading: "Diese Adresse ist ungültig",
        body: "So sieht hier kein Link aus. Bitte prüfen Sie, ob die Adresse vollständig \
               kopiert wurde.",
    },
    blocked_abuse: Message {
        heading: "Dieser Link ist gesperrt",
        body: "Er wurde abgeschaltet, weil er schädlich sein kann oder gegen die Regeln dieses \
               Dienstes verstößt.",
    },
    blocked_legal: Message {
        heading: "Aus rechtlichen Gründen nicht verfügbar",
        body: "Dieser Link ist aufgrund einer rechtlichen Forderung gesperrt.",
    },
    gone: Message {
        heading: "Diesen Link gibt es nicht mehr",
        body: "Er wurde entfernt, ist abgelaufen oder wurde so oft benutzt wie vorgesehen. \
               Wer ihn geteilt hat, hat vielleicht einen neuen.",
    },
    home: Message {
        heading: "Dies ist ein Linkdienst",
        body: "Kurze Links auf diesem Host führen zu anderen Adressen. Um vorher zu sehen, wohin \
               einer führt, hängen Sie ein Pluszeichen (+) an.",
    },
    method_not_allowed: Message {
        heading: "Diese Adresse kann nur geöffnet werden",
        body: "Die Anfrage wollte etwas anderes. Öffnen Sie den Link in einem Browser.",
    },
    not_found: Message {
        heading: "Link nicht gefunden",
        body: "Unter dieser Adresse gibt es keinen Link. Bitte prüfen Sie sie auf Tippfehler: \
               Groß- und Kleinschreibung kann eine Rolle spielen.",
    },
    unavailable: Message {
        heading: "Bitte versuchen Sie es gleich noch einmal",
        body: "Dieser Link lässt sich im Moment nicht öffnen. Das Problem liegt bei uns und ist \
               meist schnell vorbei.",
    },
    wrong_host: Message {
        heading: "Dieser Host wird hier nicht bedient",
        body: "Der Linkdienst kennt den Hostnamen dieser Adresse nicht. Falls es Ihrer ist, \
               prüfen Sie seine DNS-Einträge und die im Dienst eingerichteten Domains.",
    },

    password: Message {
        heading: "Passwort erforderlich",
        body: "Dieser Link ist geschützt. Geben Sie das Passwort ein, das Sie dafür erhalten haben.",
    },
    password_label: "Passwort",
    password_button: "Link öffnen",
    password_wrong: "Das Passwort stimmt nicht. Bitte versuchen Sie es noch einmal.",
    password_too_many: "Zu viele Versuche. Bitte warten Sie einige Minuten.",

    preview: Message {
        heading: "Wohin dieser Link führt",
        body: "Noch wurde nichts geöffnet. Prüfen Sie das Ziel, bevor Sie fortfahren.",
    },
    short_link_label: "Kurzer Link",
    title_label: "Titel",
    destination_label: "Ziel",
    readable_label: "Auch geschrieben als",
    created_label: "Erstellt",
    rules_note: "Dieser Link hat Regeln: Je nach Land, Gerät, Sprache, Zeit oder Ähnlichem kann er \
                 woandershin führen.",
    continue_to: "Weiter zu",
    continue_in_app: "In einer App öffnen",

    day_suffix: ".",
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_visitor_chooses_the_language() {
        let cases = [
            (None, "en"),
            (Some(""), "en"),
            (Some("de"), "de"),
            (Some("de-AT,en;q=0.5"), "de"),
            (Some("en-GB,de;q=0.9"), "en"),
            (Some("ja"), "en"),
            (Some("ja,de;q=0.1"), "de"),
            (Some("\0;;q=,,*;"), "en"),
        ];
        for (accepted, language) in cases {
            assert_eq!(Text::for_visitor(accepted).language, language, "{accepted:?}");
        }
    }

    #[test]
    fn no_two_languages_share_a_tag() {
        for (place, text) in LANGUAGES.into_iter().enumerate() {
            assert!(LANGUAGES[..place].iter().all(|other| other.language != text.language));
        }
    }
}
