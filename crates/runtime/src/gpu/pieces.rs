//! How much goes into one submission: Windows takes a GPU for hung, and resets it, when one runs for two seconds.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tilegrad_kernels::Call;

/// What a submission may take as far as is known.
pub const MOST: Duration = Duration::from_millis(500);

/// Speeds that even a slow GPU reaches, for calls that were never timed: floating-point operations and bytes per second.
const SLOW: (f64, f64) = (50e9, 5e9);

/// Runs that are timed before a plan is taken for fast.
const TIMED: u64 = 4;

/// The time that the calls of a plan are expected to take, corrected by what was seen.
#[derive(Debug)]
pub struct Pace {
    /// Seconds of each call by its cost.
    calls: Vec<f64>,
    seen: Arc<Seen>,
}

/// What was seen of a plan's runs.
#[derive(Debug, Default)]
struct Seen {
    /// Seen over expected, as the bits of an f64; 0 before anything was seen.
    factor: AtomicU64,
    runs: AtomicU64,
    /// When the last timed run ended: the next one did not begin before.
    ended: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new<'a>(calls: impl Iterator<Item = &'a Call>) -> Self {
        let seconds = |call: &Call| {
            let cost = call.cost();
            (cost.flops as f64 / SLOW.0).max(cost.bytes as f64 / SLOW.1)
        };
        Self { calls: calls.map(seconds).collect(), seen: Arc::default() }
    }

    /// The calls of `part`, `times` times over, in pieces that take up to `most` each; a call is never cut.
    pub fn pieces(&self, times: u32, part: &Range<usize>, most: Duration) -> Vec<Vec<Range<usize>>> {
        let most = most.as_secs_f64() / self.factor();
        let once: f64 = self.calls[part.clone()].iter().sum();
        if once * f64::from(times) <= most {
            return vec![vec![part.clone(); times as usize]];
        }
        let mut pieces = vec![Vec::new()];
        let mut filled = 0.0;
        for call in (0..times).flat_map(|_| part.clone()) {
            if filled > 0.0 && filled + self.calls[call] > most {
                pieces.push(Vec::new());
                filled = 0.0;
            }
            filled += self.calls[call];
            if let Some(piece) = pieces.last_mut() {
                append(piece, call);
            }
        }
        pieces
    }

    fn factor(&self) -> f64 {
        match self.seen.factor.load(Ordering::Relaxed) {
            0 => 1.0,
            bits => f64::from_bits(bits),
        }
    }

    /// To be called when the runs of all calls that are submitted now have ended; none if the plan is known to be fast.
    pub fn timer(&self, times: u32) -> Option<impl FnOnce() + Send + 'static> {
        let once: f64 = self.calls.iter().sum();
        let known = self.seen.runs.load(Ordering::Relaxed) >= TIMED;
        if times == 0 || once <= 0.0 || (known && once * self.factor() < MOST.as_secs_f64() / 4.0) {
            return None;
        }
        let (seen, submitted, expected) = (Arc::clone(&self.seen), Instant::now(), once * f64::from(times));
        Some(move || seen.note(submitted, Instant::now(), expected))
    }
}

impl Seen {
    /// The host hears of an end late, never early: the shortest time that was seen is the truest.
    fn note(&self, submitted: Instant, now: Instant, expected: f64) {
        let Ok(mut ended) = self.ended.lock() else { return };
        let began = ended.map_or(submitted, |ended| ended.max(submitted));
        *ended = Some(now);
        let factor = (now - began).as_secs_f64().max(1e-9) / expected;
        let known = f64::from_bits(self.factor.load(Ordering::Relaxed));
        let least = if known > 0.0 { known.min(factor) } else { factor };
        self.factor.store(least.to_bits(), Ordering::Relaxed);
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lengthens the last run of calls by `call`, or begins another one.
fn append(piece: &mut Vec<Range<usize>>, call: usize) {
    match piece.last_mut() {
        Some(run) if run.end == call => run.end += 1,
        _ => piece.push(call..call + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(calls: &[f64]) -> Pace {
        Pace { calls: calls.to_vec(), seen: Arc::default() }
    }

    fn seconds(pace: &Pace, piece: &[Range<usize>]) -> f64 {
        piece.iter().flat_map(|run| pace.calls[run.clone()].to_vec()).sum()
    }

    #[test]
    fn what_is_fast_is_one_piece() {
        let pace = pace(&[0.01, 0.02, 0.03]);
        assert_eq!(pace.pieces(8, &(0..3), MOST), [vec![0..3; 8]]);
        assert_eq!(pace.pieces(1, &(1..2), MOST), [vec![1..2; 1]]);
    }

    #[test]
    fn every_call_is_in_one_piece_in_order_and_no_piece_is_long() {
        let pace = pace(&[0.2, 0.1, 0.4, 0.05, 0.9, 0.1]);
        for (times, part) in [(1, 0..6), (3, 0..6), (2, 1..5), (4, 4..5)] {
            let pieces = pace.pieces(times, &part, MOST);
            let order: Vec<usize> = pieces.iter().flatten().flat_map(Clone::clone).collect();
            let wanted: Vec<usize> = (0..times).flat_map(|_| part.clone()).collect();
            assert_eq!(order, wanted);
            // A single call cannot be cut.
            let short = |piece: &Vec<Range<usize>>| {
                seconds(&pace, piece) <= 0.5 + 1e-9 || piece.iter().map(ExactSizeIterator::len).sum::<usize>() == 1
            };
            assert!(pieces.iter().all(short), "{pieces:?}");
            let full = |two: &[Vec<Range<usize>>]| seconds(&pace, &two[0]) + pace.calls[two[1][0].start] > 0.5;
            assert!(pieces.windows(2).all(full), "{pieces:?}");
        }
    }

    #[test]
    fn what_was_seen_decides_and_the_shortest_time_counts() {
        let pace = pace(&[0.1, 0.1]);
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        // Ten times as long as expected: each call is a piece of its own.
        pace.seen.note(start, after(2.0), 0.2);
        assert_eq!(pace.pieces(1, &(0..2), MOST).len(), 2);
        // Submitted while the first one ran: it began at second 2, and was as long as expected.
        pace.seen.note(after(1.0), after(2.2), 0.2);
        assert_eq!(pace.pieces(1, &(0..2), MOST).len(), 1);
        // Heard of late: no reason to cut.
        pace.seen.note(after(3.0), after(60.0), 0.2);
        assert_eq!(pace.pieces(2, &(0..2), MOST).len(), 1);
    }

    #[test]
    fn a_slow_plan_goes_on_being_timed() {
        let pace = pace(&[1.0]);
        pace.seen.note(Instant::now(), Instant::now() + Duration::from_secs(9), 1.0);
        for _ in 0..TIMED {
            pace.seen.runs.fetch_add(1, Ordering::Relaxed);
        }
        assert!(pace.timer(1).is_some() && pace.timer(0).is_none());
    }

    #[test]
    fn a_fast_plan_is_timed_a_few_times_only() {
        let pace = pace(&[1e-3]);
        let timed = (0..20).filter(|_| pace.timer(1).map(|done| done()).is_some()).count();
        assert_eq!(timed as u64, TIMED);
    }
}
