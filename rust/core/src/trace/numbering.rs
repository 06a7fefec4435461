//! Keys -> numbers from 0 on, in the order in which the keys appear. Exact: no two keys share one.

use std::collections::TryReserveError;

use crate::index::Index;

/// The keys seen so far. 12 bytes a key and the table's slack; O(1) a key.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    index: Index,
    keys: Vec<u64>,
}

impl Numbering {
    /// The number of a key.
    #[inline]
    pub fn number(&mut self, key: u64) -> Result<u32, TryReserveError> {
        let keys = &self.keys;
        if let Some(number) = self.index.find(key, |number| keys[number as usize] == key) {
            return Ok(number);
        }
        self.index.reserve(|number| keys[number as usize])?;
        self.keys.try_reserve(1)?;
        let number = self.keys.len() as u32;
        self.keys.push(key);
        let keys = &self.keys;
        self.index
            .insert(key, number, |number| keys[number as usize]);
        Ok(number)
    }

    /// How many keys have a number.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key has a number.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn numbers_are_those_of_a_map() {
        let mut numbering = Numbering::default();
        let mut map = HashMap::new();
        for at in 0_u64..20_000 {
            let key = (at * at) % 7919;
            let next = map.len() as u32;
            let expected = *map.entry(key).or_insert(next);
            assert_eq!(numbering.number(key).expect("small"), expected);
        }
        assert_eq!(numbering.len(), map.len());
    }
}
