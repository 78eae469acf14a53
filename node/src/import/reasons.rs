//! Why something of a file was left out, where it stood, and what a file looks like that gives nothing.
//!
//! Each is a word or an id with its facts, and no sentence: the sentences stand in the message catalogues, in each language.

use allod_protocol::refusal::Fact;

use crate::messages::{Facts, Lang, Messages};

/// The message that says a [`Place`].
const WHERE: &str = "import-where";

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Line(u64),
    /// Of a format without lines.
    Item(u64),
    /// Of our own export.
    Record(u64),
    /// A field of a record of our own export.
    RecordField {
        item: u64,
        field: String,
    },
    /// Behind all that is listed.
    FurtherOn,
}

impl Place {
    fn facts(&self) -> Vec<(&'static str, Fact)> {
        let (word, number, field) = match self {
            Self::Line(line) => ("line", Some(("line", *line)), None),
            Self::Item(item) => ("item", Some(("item", *item)), None),
            Self::Record(item) => ("record", Some(("item", *item)), None),
            Self::RecordField { item, field } => ("record-field", Some(("item", *item)), Some(field.clone())),
            Self::FurtherOn => ("further-on", None, None),
        };
        let mut facts = vec![("place", Fact::Text(word.to_owned()))];
        facts.extend(number.map(|(name, number)| (name, Fact::Number(number))));
        facts.extend(field.map(|field| ("field", Fact::Text(field))));
        facts
    }
}

macro_rules! reasons {
    ($( $(#[$doc:meta])* $name:ident { $($field:ident : $kind:ident),* $(,)? } = $id:literal; )*) => {
        /// Why something was left out.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Reason {
            $( $(#[$doc])* $name { $($field: reasons!(@type $kind)),* }, )*
        }

        impl Reason {
            /// Each case's message id and facts: what the catalogues must cover.
            pub const CASES: &'static [(&'static str, &'static [&'static str])] =
                &[ $( ($id, &[$(stringify!($field)),*]), )* ];

            fn id(&self) -> &'static str {
                match self { $( Self::$name { .. } => $id, )* }
            }

            fn facts(&self) -> Vec<(&'static str, Fact)> {
                match self {
                    $( Self::$name { $($field),* } => vec![ $( (stringify!($field), Fact::$kind($field.clone().into())) ),* ], )*
                }
            }
        }
    };
    (@type Text) => { String };
    (@type Number) => { u64 };
}

reasons! {
    /// A line above the one that names the columns.
    AboveHeader { } = "import-skip-above-header";
    /// A quotation mark that never closes.
    OpenQuote { } = "import-skip-open-quote";
    /// The same, and more lines went with it.
    OpenQuotes { last_line: Number } = "import-skip-open-quotes";
    /// More or fewer cells than the header has.
    OtherWidth { cells: Number, columns: Number } = "import-skip-other-width";
    /// More fields than a record can have.
    TooManyFields { fields: Number, most: Number } = "import-skip-too-many-fields";
    /// A row, an item or a card without anything in it.
    NoValue { } = "import-skip-no-value";
    /// The same row again.
    SameRow { } = "import-skip-same-row";
    /// The same item again.
    SameItem { } = "import-skip-same-item";
    /// The same card again.
    SameCard { } = "import-skip-same-card";
    /// A value beyond what one can be; `what` holds it.
    ValueTooLarge { what: Text } = "import-skip-value-too-large";
    /// JSON that is no object; `noun` is a word for what it is.
    NoObject { noun: Text } = "import-skip-no-object";
    /// A member of an export that is no record.
    NoRecord { } = "import-skip-no-record";
    /// A record of a kind that was not asked for.
    OtherKind { kind: Text, wanted: Text } = "import-skip-other-kind";
    /// A text that no field can be called.
    NoName { text: Text } = "import-skip-no-name";
    /// The field `id`.
    OwnId { } = "import-skip-own-id";
    /// A type that there is not.
    NoType { word: Text } = "import-skip-no-type";
    /// A value that is not of its type.
    NotOfType { text: Text, expected: Text } = "import-skip-not-of-type";
    /// A list or map that is not one.
    BadShape { most: Number } = "import-skip-bad-shape";
    /// A card without its end.
    CardCutOff { } = "import-skip-card-cut-off";
    /// A card of more properties than are read.
    CardTooLong { most: Number } = "import-skip-card-too-long";
    /// A card that holds nothing.
    EmptyCard { } = "import-skip-empty-card";
    /// Lines that belong to no card.
    OutsideCards { lines: Number } = "import-skip-outside-cards";
    /// A property beyond what is read.
    PropertyTooLarge { bytes: Number, most: Number } = "import-skip-property-too-large";
    /// A line that is no property.
    NoColon { } = "import-skip-no-colon";
    /// A property whose value does not read.
    Unreadable { property: Text } = "import-skip-unreadable";
    /// A property for which its record has no room.
    RecordFull { property: Text, most: Number } = "import-skip-record-full";
    /// What is not listed.
    More { count: Number } = "import-skip-more";
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub place: Place,
    pub reason: Reason,
}

impl Skipped {
    /// The id of the reason's sentence in the catalogues.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.reason.id()
    }

    /// The facts of both: of the place and of the reason.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, Fact)> {
        let mut facts = self.place.facts();
        facts.extend(self.reason.facts());
        facts
    }

    /// Where and why, in words without a full stop.
    #[must_use]
    pub fn said(&self, lang: Lang) -> (String, String) {
        said(lang, self.id(), &self.facts().into())
    }
}

/// Where and why something was left out, from the id and the facts that tell it.
#[must_use]
pub fn said(lang: Lang, id: &str, facts: &Facts) -> (String, String) {
    let messages = Messages::of(lang);
    (messages.text(WHERE, facts), messages.text(id, facts))
}

macro_rules! words {
    ($(#[$of:meta])* $type:ident { $( $(#[$doc:meta])* $name:ident = $word:literal, )* }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $( $(#[$doc])* $name, )* }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// The word that chooses the sentence in the catalogues.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $word, )* }
            }
        }
    };
}

words! {
    /// What a file looks like that cannot be imported, or in which no record is.
    LooksLike {
        Pdf = "pdf",
        Zip = "zip",
        Gzip = "gzip",
        Picture = "picture",
        Sqlite = "sqlite",
        OldOffice = "old-office",
        Empty = "empty",
        Binary = "binary",
        Calendar = "calendar",
        Ofx = "ofx",
        Qif = "qif",
        Invitation = "invitation",
        Markup = "markup",
        PlainText = "plain-text",
        /// A vCard file without one whole card.
        CutCards = "cut-cards",
        NoCards = "no-cards",
        NoRows = "no-rows",
        NoObjects = "no-objects",
        /// An export without records.
        NoRecords = "no-records",
    }
}

words! {
    /// How JSON breaks.
    JsonFault {
        Cut = "cut",
        Value = "value",
        Separator = "separator",
        TrailingComma = "trailing-comma",
        Name = "name",
        Number = "number",
        Text = "text",
        More = "more",
        TooDeep = "too-deep",
        Records = "records",
        Other = "other",
    }
}

impl JsonFault {
    /// What the parser's sentence says.
    pub(super) fn of(sentence: &str) -> Self {
        const BEGINNINGS: [(&str, JsonFault); 14] = [
            ("expected value", JsonFault::Value),
            ("expected ident", JsonFault::Value),
            ("expected `", JsonFault::Separator),
            ("trailing comma", JsonFault::TrailingComma),
            ("trailing characters", JsonFault::More),
            ("key must be a string", JsonFault::Name),
            ("invalid number", JsonFault::Number),
            ("number out of range", JsonFault::Number),
            ("invalid escape", JsonFault::Text),
            ("invalid unicode", JsonFault::Text),
            ("control character", JsonFault::Text),
            ("lone leading surrogate", JsonFault::Text),
            ("recursion limit", JsonFault::TooDeep),
            ("invalid type", JsonFault::Records),
        ];
        BEGINNINGS.iter().find(|(begins, _)| sentence.starts_with(begins)).map_or(Self::Other, |(_, fault)| *fault)
    }
}
