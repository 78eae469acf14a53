//! So many callers may be there at once; if all places are taken, the one that has been waited for longest gives up its own, once it
//! has had it for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// Places for callers.
pub(super) struct Places {
    most: usize,
    /// So long nobody's place is taken away.
    kept: Duration,
    taken: Mutex<Taken>,
    /// A place has become free, or one that could be taken away.
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    places: BTreeMap<u64, Place>,
    /// Those who are waited for, the longest first.
    waiting: BTreeSet<(Instant, u64)>,
    next: u64,
}

struct Place {
    /// Since when the caller is waited for; `None` while it is being answered.
    waiting_since: Option<Instant>,
    taken_away: Arc<Notify>,
}

impl Places {
    /// `most` at once; each is waited for `kept` at least.
    pub(super) fn new(most: usize, kept: Duration) -> Self {
        Self { most, kept, taken: Mutex::default(), freed: Notify::new() }
    }

    pub(super) async fn take(self: &Arc<Self>) -> Seat {
        loop {
            let freed = self.freed.notified();
            if let Some((seat, _)) = self.try_take() {
                return seat;
            }
            if self.kept.is_zero() {
                freed.await;
            } else {
                let _ = timeout(self.kept, freed).await;
            }
        }
    }

    /// One of those who are waited for goes; `None` if there is none.
    pub(super) fn make_room(&self) -> Option<()> {
        self.locked().give_up_one(Instant::now())
    }

    /// A place, and whether somebody else gave it up; `None` if all are being answered, or have not been waited for long enough.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<(Seat, bool)> {
        let mut taken = self.locked();
        let (full, now) = (taken.places.len() >= self.most, Instant::now());
        if full {
            taken.give_up_one(now.checked_sub(self.kept)?)?;
        }
        let number = taken.next;
        taken.next += 1;
        let taken_away = Arc::<Notify>::default();
        taken.places.insert(number, Place { waiting_since: None, taken_away: Arc::clone(&taken_away) });
        taken.set_waiting(number, Some(now));
        Some((Seat { places: Arc::clone(self), number, taken_away }, full))
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.locked().places.len()
    }

    fn locked(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Cuts off whoever has been waited for longest, if that is not later than `since`.
    fn give_up_one(&mut self, since: Instant) -> Option<()> {
        let (_, number) = self.waiting.first().copied().filter(|(at, _)| *at <= since)?;
        self.waiting.pop_first();
        self.places.remove(&number)?.taken_away.notify_one();
        Some(())
    }

    fn set_waiting(&mut self, number: u64, since: Option<Instant>) -> Option<()> {
        let place = self.places.get_mut(&number)?;
        if let Some(former) = std::mem::replace(&mut place.waiting_since, since) {
            self.waiting.remove(&(former, number));
        }
        self.waiting.extend(since.map(|since| (since, number)));
        Some(())
    }

    fn free(&mut self, number: u64) {
        if let Some(since) = self.places.remove(&number).and_then(|place| place.waiting_since) {
            self.waiting.remove(&(since, number));
        }
    }
}

/// One caller's place.
pub(super) struct Seat {
    places: Arc<Places>,
    number: u64,
    taken_away: Arc<Notify>,
}

impl Seat {
    /// Returns when somebody else has got the place.
    pub(super) async fn taken_away(&self) {
        self.taken_away.notified().await;
    }

    /// From here on the caller is being answered, and keeps its place; `None` if it has lost it.
    pub(super) fn work(self: &Arc<Self>) -> Option<Working> {
        self.places.locked().set_waiting(self.number, None)?;
        Some(Working(Arc::clone(self)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.locked().free(self.number);
        self.places.freed.notify_one();
    }
}

/// While this lives, the caller is being answered.
pub(super) struct Working(Arc<Seat>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.places.locked().set_waiting(self.0.number, Some(Instant::now()));
        self.0.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64;

    fn numbers(places: &Places) -> Vec<u64> {
        places.locked().places.keys().copied().collect()
    }

    #[test]
    fn the_caller_that_was_waited_for_longest_gives_up_its_place_and_one_that_is_answered_does_not() {
        let places = Arc::new(Places::new(MOST, Duration::ZERO));
        let take = || Arc::new(places.try_take().unwrap().0);
        let seats: Vec<_> = (0..MOST).map(|_| take()).collect();
        let answered = seats[0].work();
        let newest = take();
        let left = numbers(&places);
        assert_eq!((left.len(), left[0], left[1]), (MOST, 0, 2), "the second came first of those waited for");
        assert!(seats[1].work().is_none(), "nothing is begun for a caller that lost its place");
        let all_answered: Vec<_> = seats.iter().chain([&newest]).filter_map(Seat::work).collect();
        assert!(places.try_take().is_none(), "nobody who is answered is cut off");
        assert_eq!(numbers(&places), left);
        drop(all_answered);
        // The first is answered still, in another request.
        assert!(places.try_take().is_some());
        drop((answered, seats));
    }

    #[tokio::test]
    async fn a_place_is_kept_for_a_while_and_then_goes_to_who_asks_for_it() {
        let kept = Duration::from_millis(50);
        let places = Arc::new(Places::new(1, kept));
        let first = places.take().await;
        assert!(places.try_take().is_none());
        let began = Instant::now();
        let second = places.take().await;
        assert!(began.elapsed() >= kept);
        first.taken_away().await;
        drop(second);
        assert!(places.try_take().is_some());
    }
}
