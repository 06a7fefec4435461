//! The policies by name.

use super::Drawn;
use crate::policy::{Adaptive, Arc, Fifo, Lfu, Lirs, Lru, Policy, S3Fifo, Sieve, TwoQ, WTinyLfu};

/// Something to be done with a policy whose type is known to the compiler.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn with<P: Policy + Send + Sync + 'static>(self, policy: P) -> Self::Output;
}

/// One line a policy, the simplest first: what it is called, and how one is made from a seed.
macro_rules! policies {
    ($($name:ident, $text:literal $(| $alias:literal)*, $make:expr;)*) => {
        /// A policy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name {
            $(#[doc = concat!("The policy `", $text, "`.")] $name,)*
        }

        impl Name {
            /// All policies, the simplest first.
            pub const ALL: &'static [Name] = &[$(Name::$name,)*];

            /// The name as users write it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Name::$name => $text,)*
                }
            }

            /// The policy of a name in lower case.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text $(| $alias)* => Some(Name::$name),)*
                    _ => None,
                }
            }

            /// Makes the policy and hands it over.
            pub fn visit<V: Visitor>(self, seed: u64, visitor: V) -> V::Output {
                match self {
                    $(Name::$name => visitor.with(made(seed, $make)),)*
                }
            }
        }
    };
}

fn made<P>(seed: u64, make: impl FnOnce(u64) -> P) -> P {
    make(seed)
}

policies! {
    Fifo, "fifo", |_| Fifo::default();
    Random, "random" | "rr", Drawn::new;
    Lru, "lru", |_| Lru::default();
    Lfu, "lfu", |_| Lfu::default();
    Sieve, "sieve", |_| Sieve::default();
    TwoQ, "2q", |_| TwoQ::default();
    S3Fifo, "s3fifo", |_| S3Fifo::default();
    Arc, "arc", |_| Arc::default();
    Lirs, "lirs", |_| Lirs::default();
    WTinyLfu, "wtinylfu", |_| WTinyLfu::default();
    Adaptive, "adaptive", |_| Adaptive::default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_found_by_its_name() {
        for &name in Name::ALL {
            assert_eq!(Name::parse(name.text()), Some(name));
        }
        assert_eq!(Name::parse("rr"), Some(Name::Random));
        assert_eq!(Name::parse("LRU"), None);
    }
}
