//! Memory by lifetime: buffers that are never alive together share a slot.

use crate::graph::{Graph, Purpose, uses};
use std::collections::BTreeMap;

/// Where each buffer of a graph lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Slot of each buffer; `None` for external buffers and for those that no call uses.
    pub slot_of: Vec<Option<usize>>,
    /// Words of four bytes of each slot.
    pub slots: Vec<usize>,
}

/// Memory of a plan in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// Sum over all buffers of each purpose, as if none were shared.
    pub by_purpose: BTreeMap<Purpose, u64>,
    /// Sum over the transient buffers if each had memory of its own.
    pub transient_unshared: u64,
    /// What the transient buffers really take.
    pub transient: u64,
}

/// First and last call that uses each transient buffer.
fn lifetimes(graph: &Graph) -> Vec<Option<(usize, usize)>> {
    let mut lives = vec![None; graph.buffers().len()];
    for (at, node) in graph.nodes().iter().enumerate() {
        for (slice, _) in uses(&node.call) {
            let life: &mut Option<(usize, usize)> = &mut lives[slice.buffer.0 as usize];
            *life = Some((life.map_or(at, |(first, _)| first), at));
        }
    }
    lives
}

/// Packs transient buffers into slots: each takes the free slot that wastes least, or grows the largest free
/// one, or opens a new one.
pub fn plan(graph: &Graph) -> MemoryPlan {
    let lives = lifetimes(graph);
    let mut order: Vec<usize> =
        (0..lives.len()).filter(|&buffer| lives[buffer].is_some() && !graph.buffers()[buffer].external).collect();
    order.sort_by_key(|&buffer| lives[buffer]);
    let mut slot_of = vec![None; lives.len()];
    let mut slots: Vec<usize> = Vec::new();
    let mut free_after: Vec<usize> = Vec::new();
    for buffer in order {
        let Some((first, last)) = lives[buffer] else { continue };
        let len = graph.buffers()[buffer].words();
        let free = (0..slots.len()).filter(|&slot| free_after[slot] < first);
        // Waste if the slot is large enough, else growth, which costs as much.
        let best = free.min_by_key(|&slot| slots[slot].abs_diff(len));
        let slot = match best.filter(|&slot| slots[slot].abs_diff(len) < len || slots[slot] >= len) {
            Some(slot) => slot,
            None => {
                slots.push(0);
                free_after.push(0);
                slots.len() - 1
            }
        };
        slots[slot] = slots[slot].max(len);
        free_after[slot] = last;
        slot_of[buffer] = Some(slot);
    }
    MemoryPlan { slot_of, slots }
}

/// Adds up what a graph takes under `plan`.
pub fn memory_use(graph: &Graph, plan: &MemoryPlan) -> MemoryUse {
    let mut report = MemoryUse { transient: plan.slots.iter().map(|len| 4 * *len as u64).sum(), ..Default::default() };
    for (buffer, slot) in graph.buffers().iter().zip(&plan.slot_of) {
        let bytes = 4 * buffer.words() as u64;
        if buffer.external || slot.is_some() {
            *report.by_purpose.entry(buffer.purpose).or_default() += bytes;
        }
        if slot.is_some() {
            report.transient_unshared += bytes;
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::{Element, hash, relu};

    /// A chain of elementwise calls over transient buffers, each reading a random earlier, still small one.
    fn chain(seed: u32, length: u32) -> Graph {
        let mut graph = Graph::new();
        let mut alive = vec![graph.external("x", 64, Element::F32, Purpose::Data)];
        for i in 0..length {
            let input = alive[hash::bits(seed, 0, i) as usize % alive.len()].clone();
            let output = graph.transient(&format!("t{i}"), 64, Element::F32, Purpose::Activation);
            let call = relu::call(relu::Io { x: input, y: output.clone() }, 64).unwrap();
            graph.push("chain", call);
            alive.push(output);
            if alive.len() > 4 {
                alive.remove(0);
            }
        }
        graph
    }

    #[test]
    fn buffers_that_live_together_never_share_a_slot() {
        for seed in 0..200 {
            let graph = chain(seed, 40);
            let (lives, plan) = (lifetimes(&graph), plan(&graph));
            for a in 0..lives.len() {
                for b in 0..a {
                    let (Some(slot_a), Some(slot_b)) = (plan.slot_of[a], plan.slot_of[b]) else { continue };
                    let ((a_first, a_last), (b_first, b_last)) = (lives[a].unwrap(), lives[b].unwrap());
                    let together = a_first <= b_last && b_first <= a_last;
                    assert!(!together || slot_a != slot_b, "seed {seed}: buffers {a} and {b} share slot {slot_a}");
                }
            }
        }
    }

    #[test]
    fn a_straight_chain_needs_two_slots() {
        let mut graph = Graph::new();
        let mut x = graph.external("x", 64, Element::F32, Purpose::Data);
        for i in 0..10 {
            let y = graph.transient(&format!("t{i}"), 64, Element::F32, Purpose::Activation);
            graph.push("chain", relu::call(relu::Io { x, y: y.clone() }, 64).unwrap());
            x = y;
        }
        let plan = plan(&graph);
        assert_eq!(plan.slots, [64, 64]);
        let memory = memory_use(&graph, &plan);
        assert_eq!((memory.transient, memory.transient_unshared), (512, 2560));
    }
}
