//! What kind of hit a click is. Nothing is thrown away: what is no person gets a reason.

/// The class of a click. Where several fit, the first of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Method HEAD: nobody is there to see an answer.
    Head,
    /// A browser that fetches ahead of a click that may never come.
    Prefetch,
    /// An agent that makes the card of a pasted link.
    LinkPreview,
    /// A program that says so.
    Bot,
    /// From a datacentre's address.
    Datacentre,
    /// More of one visitor on one link than a person clicks.
    Burst,
    /// None of the others.
    Human,
}

impl Class {
    /// Every class, in the order of the codes.
    pub const ALL: [Self; 7] = [
        Self::Head,
        Self::Prefetch,
        Self::LinkPreview,
        Self::Bot,
        Self::Datacentre,
        Self::Burst,
        Self::Human,
    ];

    /// The word for this class in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::LinkPreview => "link_preview",
            Self::Bot => "bot",
            Self::Datacentre => "datacentre",
            Self::Burst => "burst",
            Self::Human => "human",
        }
    }
}
