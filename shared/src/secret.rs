//! A text that must not be seen: no `Debug` of its content, no `Display`, no `Serialize`; wiped when dropped.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A secret's text. The only way to its content is [`Secret::expose`], so that every use can be found by name.
///
/// It cannot be printed, so neither a log nor a panic can show it:
///
/// ```compile_fail,E0277
/// println!("{:?}", shared::secret::Secret::new("never shown"));
/// ```
/// ```compile_fail,E0277
/// println!("{}", shared::secret::Secret::new("never shown"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself: for the wire and for the vault, for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn equality_sees_content() {
        assert!(Secret::new("a") == Secret::new("a"));
        assert!(Secret::new("a") != Secret::new("b"));
        assert!(Secret::new("a") != Secret::new("aa"));
    }
}
