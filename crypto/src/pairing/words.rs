//! The short authentication string: 42 bits that two persons compare, as 7 emoji and as 6 words.
//!
//! Both show the same bits, most significant first: six bits an emoji, seven a word. A false match takes 2^42 tries, and each
//! try is a pairing that a person sees, since the handshake commits to its share before it learns the other's.
//!
//! The emoji are the 64 that Matrix chose, told apart at a glance. The words are spelled alike in French and English, so that
//! two nodes in two languages show the same: no two differ in fewer than three letters or begin with the same four, and none
//! has a homophone in either language.

use std::fmt;

const EMOJI_COUNT: usize = 7;
const WORD_COUNT: usize = 6;
const EMOJI_BITS: u32 = 6;
const WORD_BITS: u32 = 7;
const SAS_BITS: u32 = 42;
/// What the handshake derives: the 42 bits are the first of these 48.
pub(super) const SAS_BYTES: usize = 6;

/// A picture and its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emoji {
    pub symbol: &'static str,
    pub english: &'static str,
    pub french: &'static str,
}

/// What both persons must see alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sas {
    emoji: [u8; EMOJI_COUNT],
    words: [u8; WORD_COUNT],
}

impl Sas {
    pub(super) fn from_bytes(bytes: [u8; SAS_BYTES]) -> Sas {
        let whole = bytes.iter().fold(0_u64, |whole, byte| (whole << 8) | u64::from(*byte));
        let bits = whole >> (u64::from(u8::BITS) * SAS_BYTES as u64 - u64::from(SAS_BITS));
        Sas { emoji: groups(bits, EMOJI_BITS), words: groups(bits, WORD_BITS) }
    }

    pub fn emoji(&self) -> [&'static Emoji; EMOJI_COUNT] {
        self.emoji.map(|index| &EMOJI[usize::from(index)])
    }

    pub fn words(&self) -> [&'static str; WORD_COUNT] {
        self.words.map(|index| WORDS[usize::from(index)])
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sas(..)")
    }
}

/// Cuts the 42 bits into groups, most significant first.
fn groups<const N: usize>(bits: u64, width: u32) -> [u8; N] {
    let mut groups = [0; N];
    for (group, index) in groups.iter_mut().zip(0_u32..) {
        let shifted = bits >> (SAS_BITS - width * (index + 1));
        *group = shifted.to_le_bytes()[0] & ((1 << width) - 1);
    }
    groups
}

#[rustfmt::skip]
const EMOJI: [Emoji; 64] = [
    Emoji { symbol: "🐶", english: "dog", french: "chien" },
    Emoji { symbol: "🐱", english: "cat", french: "chat" },
    Emoji { symbol: "🦁", english: "lion", french: "lion" },
    Emoji { symbol: "🐎", english: "horse", french: "cheval" },
    Emoji { symbol: "🦄", english: "unicorn", french: "licorne" },
    Emoji { symbol: "🐷", english: "pig", french: "cochon" },
    Emoji { symbol: "🐘", english: "elephant", french: "éléphant" },
    Emoji { symbol: "🐰", english: "rabbit", french: "lapin" },
    Emoji { symbol: "🐼", english: "panda", french: "panda" },
    Emoji { symbol: "🐓", english: "rooster", french: "coq" },
    Emoji { symbol: "🐧", english: "penguin", french: "manchot" },
    Emoji { symbol: "🐢", english: "turtle", french: "tortue" },
    Emoji { symbol: "🐟", english: "fish", french: "poisson" },
    Emoji { symbol: "🐙", english: "octopus", french: "pieuvre" },
    Emoji { symbol: "🦋", english: "butterfly", french: "papillon" },
    Emoji { symbol: "🌷", english: "flower", french: "fleur" },
    Emoji { symbol: "🌳", english: "tree", french: "arbre" },
    Emoji { symbol: "🌵", english: "cactus", french: "cactus" },
    Emoji { symbol: "🍄", english: "mushroom", french: "champignon" },
    Emoji { symbol: "🌏", english: "globe", french: "globe" },
    Emoji { symbol: "🌙", english: "moon", french: "lune" },
    Emoji { symbol: "☁️", english: "cloud", french: "nuage" },
    Emoji { symbol: "🔥", english: "fire", french: "feu" },
    Emoji { symbol: "🍌", english: "banana", french: "banane" },
    Emoji { symbol: "🍎", english: "apple", french: "pomme" },
    Emoji { symbol: "🍓", english: "strawberry", french: "fraise" },
    Emoji { symbol: "🌽", english: "corn", french: "maïs" },
    Emoji { symbol: "🍕", english: "pizza", french: "pizza" },
    Emoji { symbol: "🎂", english: "cake", french: "gâteau" },
    Emoji { symbol: "❤️", english: "heart", french: "cœur" },
    Emoji { symbol: "😀", english: "smiley", french: "sourire" },
    Emoji { symbol: "🤖", english: "robot", french: "robot" },
    Emoji { symbol: "🎩", english: "hat", french: "chapeau" },
    Emoji { symbol: "👓", english: "glasses", french: "lunettes" },
    Emoji { symbol: "🔧", english: "spanner", french: "clé plate" },
    Emoji { symbol: "🎅", english: "Santa", french: "père Noël" },
    Emoji { symbol: "👍", english: "thumbs up", french: "pouce levé" },
    Emoji { symbol: "☂️", english: "umbrella", french: "parapluie" },
    Emoji { symbol: "⌛", english: "hourglass", french: "sablier" },
    Emoji { symbol: "⏰", english: "clock", french: "réveil" },
    Emoji { symbol: "🎁", english: "gift", french: "cadeau" },
    Emoji { symbol: "💡", english: "light bulb", french: "ampoule" },
    Emoji { symbol: "📕", english: "book", french: "livre" },
    Emoji { symbol: "✏️", english: "pencil", french: "crayon" },
    Emoji { symbol: "📎", english: "paperclip", french: "trombone" },
    Emoji { symbol: "✂️", english: "scissors", french: "ciseaux" },
    Emoji { symbol: "🔒", english: "lock", french: "cadenas" },
    Emoji { symbol: "🔑", english: "key", french: "clé" },
    Emoji { symbol: "🔨", english: "hammer", french: "marteau" },
    Emoji { symbol: "☎️", english: "telephone", french: "téléphone" },
    Emoji { symbol: "🏁", english: "flag", french: "drapeau" },
    Emoji { symbol: "🚂", english: "train", french: "train" },
    Emoji { symbol: "🚲", english: "bicycle", french: "vélo" },
    Emoji { symbol: "✈️", english: "aeroplane", french: "avion" },
    Emoji { symbol: "🚀", english: "rocket", french: "fusée" },
    Emoji { symbol: "🏆", english: "trophy", french: "trophée" },
    Emoji { symbol: "⚽", english: "ball", french: "ballon" },
    Emoji { symbol: "🎸", english: "guitar", french: "guitare" },
    Emoji { symbol: "🎺", english: "trumpet", french: "trompette" },
    Emoji { symbol: "🔔", english: "bell", french: "cloche" },
    Emoji { symbol: "⚓", english: "anchor", french: "ancre" },
    Emoji { symbol: "🎧", english: "headphones", french: "casque" },
    Emoji { symbol: "📁", english: "folder", french: "dossier" },
    Emoji { symbol: "📌", english: "pin", french: "punaise" },
];

#[rustfmt::skip]
const WORDS: [&str; 128] = [
    "album", "alligator", "ambulance", "animal", "aquarium", "artisan", "avalanche", "avenue",
    "badge", "baguette", "banjo", "bison", "boulevard", "bouquet", "boutique", "bungalow",
    "bureau", "cactus", "caramel", "cargo", "cobra", "cottage", "coyote", "cyclone",
    "dragon", "festival", "flamenco", "fusion", "garage", "gazelle", "hamster", "hibiscus",
    "horizon", "iceberg", "igloo", "indigo", "jaguar", "jazz", "jersey", "journal",
    "judo", "jungle", "kayak", "ketchup", "kimono", "kiwi", "koala", "lotus",
    "machine", "magenta", "magnolia", "marathon", "marina", "menu", "microscope", "mimosa",
    "miracle", "monument", "nickel", "nougat", "oasis", "omelette", "onyx", "orange",
    "ozone", "palette", "panda", "panorama", "papyrus", "parachute", "pavement", "photo",
    "piano", "pigeon", "pipeline", "pirate", "pivot", "pizza", "plateau", "podium",
    "poncho", "popcorn", "prairie", "promenade", "puma", "puzzle", "python", "quiche",
    "radar", "ravioli", "reptile", "risotto", "rugby", "safari", "salon", "sandwich",
    "sardine", "satellite", "sonar", "sorbet", "souvenir", "spectacle", "sphinx", "square",
    "studio", "surprise", "tandem", "taxi", "tennis", "thermos", "toboggan", "tofu",
    "totem", "transport", "triangle", "trombone", "tsunami", "tunnel", "turquoise", "vampire",
    "village", "violet", "vortex", "voyage", "yacht", "zigzag", "zinc", "zombie",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_words_are_far_apart_in_letters_and_beginnings() {
        for (place, word) in WORDS.iter().enumerate() {
            assert!((4..=10).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
            for other in &WORDS[place + 1..] {
                assert!(distance(word, other) >= 3, "{word} {other}");
                assert_ne!(word[..4], other[..4]);
            }
        }
    }

    #[test]
    fn no_emoji_and_no_name_stands_twice() {
        for texts in
            [EMOJI.map(|emoji| emoji.symbol), EMOJI.map(|emoji| emoji.english), EMOJI.map(|emoji| emoji.french)]
        {
            assert_eq!(HashSet::from(texts).len(), EMOJI.len());
            assert!(texts.iter().all(|text| !text.is_empty()));
        }
    }

    #[test]
    fn emoji_and_words_show_the_same_42_bits() {
        let sas = Sas::from_bytes([0b1000_0010, 0b0001_0000, 0b1100_0001, 0b0000_0101, 0b0001_1000, 0b1111_1111]);
        assert_eq!(sas.emoji, [0b10_0000, 0b10_0001, 0b00_0011, 0b00_0001, 0b00_0001, 0b01_0001, 0b10_0011]);
        assert_eq!(sas.words, [0b100_0001, 0b000_0100, 0b001_1000, 0b001_0000, 0b010_1000, 0b110_0011]);
        let unpack =
            |groups: &[u8], width: u32| groups.iter().fold(0_u64, |all, group| (all << width) | u64::from(*group));
        assert_eq!(unpack(&sas.emoji, EMOJI_BITS), unpack(&sas.words, WORD_BITS));
        // The last six bits are not shown, and each of the others changes both.
        let base = Sas::from_bytes([0; SAS_BYTES]);
        for bit in 0..48 {
            let changed =
                Sas::from_bytes(std::array::from_fn(|byte| if byte == bit / 8 { 0x80 >> (bit % 8) } else { 0 }));
            assert_eq!(changed.emoji != base.emoji, bit < 42);
            assert_eq!(changed.words != base.words, bit < 42);
        }
    }

    fn distance(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.bytes().enumerate() {
                let replaced = diagonal + usize::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[b.len()]
    }
}
