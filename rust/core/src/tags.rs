//! Names that slots carry, and forgetting all slots of a name in O(1).
//!
//! A tag has a generation, and a slot remembers the one in which it got the tag: invalidating a tag
//! is one addition, after which its slots are *stale*. They are found out when they are read, and
//! swept a few at a time. A tag that no slot carries any more is forgotten.

use std::collections::HashMap;

use crate::Slot;

/// Names a tag in use.
pub type Tag = u32;

#[derive(Clone, Debug)]
struct Record {
    name: Box<str>,
    generation: u32,
    /// Slots that carry the tag in its present generation.
    live: u32,
    /// Slots that carry the tag in any generation.
    carriers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    tag: Tag,
    generation: u32,
}

/// The tags of slots.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    names: HashMap<Box<str>, Tag>,
    records: Vec<Record>,
    free: Vec<Tag>,
    marks: Vec<Box<[Mark]>>,
    /// Slots below this one are still to be swept.
    unswept: usize,
}

impl Tags {
    /// Gives a slot its tags, in place of those it has.
    pub fn set(&mut self, slot: Slot, names: &[Box<str>]) {
        // New ones first: a tag that stays is not forgotten in between.
        let marks: Box<[Mark]> = names
            .iter()
            .enumerate()
            .filter(|&(at, name)| !names[..at].contains(name))
            .map(|(_, name)| {
                let tag = self.tag(name);
                let record = &mut self.records[tag as usize];
                record.live += 1;
                record.carriers += 1;
                Mark {
                    tag,
                    generation: record.generation,
                }
            })
            .collect();
        self.unset(slot);
        if self.marks.len() <= slot as usize && !marks.is_empty() {
            self.marks.resize(slot as usize + 1, Box::default());
        }
        if let Some(place) = self.marks.get_mut(slot as usize) {
            *place = marks;
        }
    }

    /// Takes its tags from a slot.
    pub fn unset(&mut self, slot: Slot) {
        let Some(marks) = self.marks.get_mut(slot as usize).map(std::mem::take) else {
            return;
        };
        for mark in marks {
            let record = &mut self.records[mark.tag as usize];
            record.carriers -= 1;
            if record.generation == mark.generation {
                record.live -= 1;
            }
            if record.carriers == 0 {
                self.names.remove(&record.name);
                record.name = Box::default();
                self.free.push(mark.tag);
            }
        }
    }

    /// Makes all slots of a tag stale; returns how many there were.
    pub fn invalidate(&mut self, name: &str) -> u32 {
        let Some(&tag) = self.names.get(name) else {
            return 0;
        };
        let record = &mut self.records[tag as usize];
        // Without live slots there is nothing to tell them from; and generations last longer.
        if record.live > 0 {
            record.generation = record.generation.wrapping_add(1);
            self.unswept = self.marks.len();
        }
        std::mem::take(&mut record.live)
    }

    /// Whether a tag of the slot was invalidated.
    #[inline]
    pub fn is_stale(&self, slot: Slot) -> bool {
        self.unswept > 0
            && self.marks.get(slot as usize).is_some_and(|marks| {
                marks
                    .iter()
                    .any(|mark| self.records[mark.tag as usize].generation != mark.generation)
            })
    }

    /// Whether there may be stale slots.
    #[inline]
    pub fn may_be_stale(&self) -> bool {
        self.unswept > 0
    }

    /// The next stale slot, after at most `steps` slots were looked at. It is to be emptied.
    pub fn sweep(&mut self, steps: usize) -> Option<Slot> {
        for _ in 0..steps.min(self.unswept) {
            let slot = self.unswept - 1;
            if self.is_stale(slot as Slot) {
                return Some(slot as Slot);
            }
            self.unswept = slot;
        }
        None
    }

    /// The names of a slot's tags.
    pub fn names(&self, slot: Slot) -> impl Iterator<Item = &str> {
        self.marks
            .get(slot as usize)
            .into_iter()
            .flatten()
            .map(|mark| &*self.records[mark.tag as usize].name)
    }

    /// Forgets every slot and every tag.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes allocated, about.
    pub fn memory(&self) -> usize {
        let marks: usize = self.marks.iter().map(|marks| size_of_val(&**marks)).sum();
        let names: usize = self
            .records
            .iter()
            .map(|record| 2 * record.name.len())
            .sum();
        self.marks.capacity() * size_of::<Box<[Mark]>>()
            + marks
            + names
            + self.records.capacity() * (size_of::<Record>() + size_of::<(Box<str>, Tag)>())
            + self.free.capacity() * size_of::<Tag>()
    }

    /// Says what is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        for (&tag, name) in self.names.iter().map(|(name, tag)| (tag, name)) {
            let count = |present: bool| {
                self.marks
                    .iter()
                    .flatten()
                    .filter(|mark| {
                        let record = &self.records[mark.tag as usize];
                        mark.tag == tag && (!present || record.generation == mark.generation)
                    })
                    .count()
            };
            let record = &self.records[tag as usize];
            if record.name != *name || record.carriers == 0 {
                return Err(format!("tags: {name:?} leads to a tag that is not in use"));
            }
            if count(false) != record.carriers as usize || count(true) != record.live as usize {
                return Err(format!(
                    "tags: {name:?} is carried by {} slots, says {record:?}",
                    count(false)
                ));
            }
        }
        if self.names.len() + self.free.len() == self.records.len() {
            Ok(())
        } else {
            Err("tags: some are neither in use nor free".to_owned())
        }
    }

    fn tag(&mut self, name: &str) -> Tag {
        if let Some(&tag) = self.names.get(name) {
            return tag;
        }
        let record = Record {
            name: name.into(),
            generation: 0,
            live: 0,
            carriers: 0,
        };
        let tag = if let Some(tag) = self.free.pop() {
            self.records[tag as usize] = record;
            tag
        } else {
            self.records.push(record);
            self.records.len() as Tag - 1
        };
        self.names.insert(name.into(), tag);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn invalidating_a_tag_makes_its_slots_stale_and_no_others() {
        let mut tags = Tags::default();
        tags.set(0, &named(&["a"]));
        tags.set(1, &named(&["a", "b", "a"]));
        tags.set(5, &named(&["b"]));
        assert_eq!(tags.invalidate("a"), 2);
        assert_eq!(
            [0, 1, 2, 5].map(|slot| tags.is_stale(slot)),
            [true, true, false, false]
        );
        tags.set(0, &named(&["a"]));
        assert!(!tags.is_stale(0));
        tags.check().expect("consistent");
    }

    #[test]
    fn a_sweep_finds_every_stale_slot() {
        let mut tags = Tags::default();
        for slot in 0..10 {
            tags.set(
                slot,
                &named(&[if slot % 3 == 0 { "third" } else { "other" }]),
            );
        }
        tags.invalidate("third");
        let mut found = Vec::new();
        while tags.may_be_stale() {
            if let Some(slot) = tags.sweep(2) {
                found.push(slot);
                tags.unset(slot);
            }
        }
        assert_eq!(found, [9, 6, 3, 0]);
        tags.check().expect("consistent");
    }

    #[test]
    fn tags_without_carriers_are_forgotten() {
        let mut tags = Tags::default();
        for round in 0..100 {
            tags.set(0, &named(&[&format!("round {round}")]));
        }
        assert!(tags.records.len() <= 2);
        tags.unset(0);
        assert!(tags.names.is_empty());
        assert_eq!(tags.invalidate("round 99"), 0);
        tags.check().expect("consistent");
    }
}
