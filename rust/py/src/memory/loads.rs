//! Loads in progress, so that one does not store what was invalidated meanwhile.
//!
//! A value that is loaded may have been read before a deletion, an invalidation or a newer value: then it
//! must not be stored after that. Each load is noted by the hash of its key; two keys of one hash can
//! only make a load be thrown away, which costs another load.

/// A load in progress.
struct Load {
    ticket: u64,
    hash: u64,
    tags: Vec<Box<str>>,
    wanted: bool,
}

/// The loads in progress.
#[derive(Default)]
pub struct Loads {
    running: Vec<Load>,
    last_ticket: u64,
}

impl Loads {
    /// Takes the place of other ones, whose tickets mean nothing any more.
    pub fn succeed(&mut self, other: &Loads) {
        self.last_ticket = other.last_ticket;
    }

    /// A load begins; its ticket is returned.
    pub fn begin(&mut self, hash: u64, tags: Vec<Box<str>>) -> u64 {
        self.last_ticket += 1;
        self.running.push(Load {
            ticket: self.last_ticket,
            hash,
            tags,
            wanted: true,
        });
        self.last_ticket
    }

    /// A load ends; returns whether its value may be stored.
    pub fn end(&mut self, ticket: u64) -> bool {
        let at = self.running.iter().position(|load| load.ticket == ticket);
        at.is_some_and(|at| self.running.swap_remove(at).wanted)
    }

    /// What is loaded for a key is not wanted any more.
    #[inline]
    pub fn forget(&mut self, hash: u64) {
        self.forget_where(|load| load.hash == hash);
    }

    /// What is loaded with a tag is not wanted any more.
    pub fn forget_tag(&mut self, tag: &str) {
        self.forget_where(|load| load.tags.iter().any(|own| **own == *tag));
    }

    /// Nothing that is being loaded is wanted any more.
    pub fn forget_all(&mut self) {
        self.forget_where(|_| true);
    }

    #[inline]
    fn forget_where(&mut self, is: impl Fn(&Load) -> bool) {
        for load in &mut self.running {
            if is(load) {
                load.wanted = false;
            }
        }
    }
}
