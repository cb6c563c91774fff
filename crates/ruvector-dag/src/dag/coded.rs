//! Enumerations with a stable code and the name EXPLAIN uses: stored by code in the binary form, by name in JSON.
//!
//! Codes are in stored graphs and fingerprints, so they are never given anew and never reordered.

/// Defines an enumeration `Variant = code "Name"` with conversions from and to both, and serde by them.
macro_rules! coded {
    ($(#[$meta:meta])* $enumeration:ident { $($variant:ident = $code:literal $name:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum $enumeration {
            $(
                #[doc = concat!("EXPLAIN calls it `", $name, "`.")]
                $variant = $code,
            )*
        }

        impl $enumeration {
            /// All of them, by code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name EXPLAIN gives it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one of this EXPLAIN name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The stable code.
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The one of this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl serde::Serialize for $enumeration {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(self.name())
                } else {
                    serializer.serialize_u8(self.code())
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $enumeration {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                if deserializer.is_human_readable() {
                    let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    Self::from_name(&name).ok_or_else(|| D::Error::custom(format_args!("unknown name {name:?}")))
                } else {
                    let code = u8::deserialize(deserializer)?;
                    Self::from_code(code).ok_or_else(|| D::Error::custom(format_args!("unknown code {code}")))
                }
            }
        }
    };
}

pub(super) use coded;
