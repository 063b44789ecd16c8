//! Graphs: ordered calls over virtual buffers; pure data that prints, diffs and runs on any device.

use crate::RuntimeError;
use crate::written::Written;
use std::fmt;
use tilegrad_kernels::{Access, BufferId, Call, Element, Slice};

/// An ordered list of calls over virtual buffers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    buffers: Vec<Buffer>,
    nodes: Vec<Node>,
}

/// A virtual buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffer {
    /// Name in messages and printed graphs.
    pub name: String,
    /// Number of elements.
    pub len: usize,
    /// Type of the elements.
    pub element: Element,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether memory is bound to it when the graph is prepared. All other buffers live within one run.
    pub external: bool,
}

impl Buffer {
    /// Whole words of four bytes that the elements take.
    pub fn words(&self) -> usize {
        self.element.words(self.len)
    }
}

/// What a buffer is for; reports add up memory by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Weights and biases.
    Parameters,
    /// Gradients of the parameters.
    Gradients,
    /// What the optimiser remembers.
    Optimiser,
    /// Examples, labels and the order in which they are taken.
    Data,
    /// Step state and metrics.
    State,
    /// Values between layers, and their gradients.
    Activation,
    /// Intermediate results within one layer.
    Scratch,
}

/// A call at its place in a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What runs.
    pub call: Call,
    /// The layer and direction it belongs to, such as `conv1 forward`.
    pub scope: String,
}

impl Graph {
    /// A graph of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer that memory is bound to when the graph is prepared.
    pub fn external(&mut self, name: &str, len: usize, element: Element, purpose: Purpose) -> Slice {
        self.push_buffer(name, len, element, purpose, true)
    }

    /// A buffer whose contents live within one run, from its first use to its last.
    pub fn transient(&mut self, name: &str, len: usize, element: Element, purpose: Purpose) -> Slice {
        self.push_buffer(name, len, element, purpose, false)
    }

    fn push_buffer(&mut self, name: &str, len: usize, element: Element, purpose: Purpose, external: bool) -> Slice {
        let buffer = BufferId(self.buffers.len() as u32);
        self.buffers.push(Buffer { name: name.into(), len, element, purpose, external });
        Slice { buffer, name: name.into(), offset: 0, len, element }
    }

    /// Turns a transient buffer into an external one, so that its contents outlive a run.
    pub fn keep(&mut self, slice: &Slice) {
        self.buffers[slice.buffer.0 as usize].external = true;
    }

    /// Turns every transient buffer into an external one, so that all that a run computed can be looked at;
    /// returns a slice of each.
    pub fn keep_all(&mut self) -> Vec<Slice> {
        let transient: Vec<usize> = (0..self.buffers.len()).filter(|&at| !self.buffers[at].external).collect();
        let mut kept = Vec::new();
        for at in transient {
            self.buffers[at].external = true;
            kept.push(self.whole(BufferId(at as u32)));
        }
        kept
    }

    /// Appends a call that belongs to `scope`.
    pub fn push(&mut self, scope: &str, call: Call) {
        self.nodes.push(Node { call, scope: scope.into() });
    }

    /// The same buffers with other calls: what a pass over the graph made of them.
    pub fn with_nodes(self, nodes: Vec<Node>) -> Self {
        Self { nodes, ..self }
    }

    /// The virtual buffers; a [`BufferId`] is a place in this list.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// The calls in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All of a buffer.
    pub fn whole(&self, id: BufferId) -> Slice {
        let Buffer { name, len, element, .. } = self.buffer(id);
        Slice { buffer: id, name: name.as_str().into(), offset: 0, len: *len, element: *element }
    }

    /// The buffer that a slice lies in.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }

    /// Checks what no single call can: that slices lie within their buffers, that no call reads what it
    /// writes, and that no element is read before it is written.
    ///
    /// # Errors
    /// [`RuntimeError::Graph`] naming the call and the buffer.
    pub fn check(&self) -> Result<(), RuntimeError> {
        let mut written = vec![Written::default(); self.buffers.len()];
        for node in &self.nodes {
            self.check_node(node, &written)?;
            for (slice, _) in uses(&node.call).filter(|(_, access)| *access == Access::ReadWrite) {
                written[slice.buffer.0 as usize].add(slice.offset..slice.offset + slice.len);
            }
        }
        Ok(())
    }

    fn check_node(&self, node: &Node, written: &[Written]) -> Result<(), RuntimeError> {
        let fail = |slice: &Slice, problem: &str| {
            Err(RuntimeError::Graph(format!(
                "{} ({}): `{}` {problem}",
                node.call.kernel().name,
                node.scope,
                slice.name
            )))
        };
        for (slice, access) in uses(&node.call) {
            let Some(buffer) = self.buffers.get(slice.buffer.0 as usize) else {
                return fail(slice, "belongs to another graph");
            };
            if slice.offset.checked_add(slice.len).is_none_or(|end| end > buffer.len) {
                return fail(slice, &format!("reaches beyond buffer `{}` of {} elements", buffer.name, buffer.len));
            }
            if slice.element != buffer.element {
                return fail(slice, &format!("is taken for {}, the buffer holds {}", slice.element, buffer.element));
            }
            if !(slice.offset * slice.element.bytes()).is_multiple_of(4) {
                return fail(slice, &format!("starts at element {}, within a word", slice.offset));
            }
            let written = &written[slice.buffer.0 as usize];
            if access == Access::Read && !buffer.external && !written.holds(slice.offset..slice.offset + slice.len) {
                let unwritten = "is read before anything wrote it";
                return fail(slice, if written.is_empty() { unwritten } else { "is read, but only partly written" });
            }
            let clash = uses(&node.call).any(|(other, other_access)| {
                other.buffer == slice.buffer && access == Access::ReadWrite && !std::ptr::eq(other, slice) && {
                    other_access == Access::Read || overlap(other, slice)
                }
            });
            if clash {
                return fail(slice, "is read and written by the same call");
            }
        }
        Ok(())
    }
}

fn overlap(a: &Slice, b: &Slice) -> bool {
    a.offset < b.offset + b.len && b.offset < a.offset + a.len
}

/// Every buffer of a call with the way it is used.
pub(crate) fn uses(call: &Call) -> impl Iterator<Item = (&Slice, Access)> {
    call.buffers().iter().zip(call.kernel().bindings.iter().map(|binding| binding.access))
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            let cost = node.call.cost();
            writeln!(f, "{:<20} {} flops={} bytes={}", node.scope, node.call, cost.flops, cost.bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::relu;

    /// Halves of a transient buffer that are written before it is read whole.
    fn check_after(written: &[usize]) -> Result<(), RuntimeError> {
        let mut graph = Graph::new();
        let x = graph.external("x", 256, Element::F32, Purpose::Data);
        let between = graph.transient("between", 256, Element::F32, Purpose::Scratch);
        let y = graph.external("y", 256, Element::F32, Purpose::Data);
        for half in written {
            let io = relu::Io { x: x.part("x", 0, 128), y: between.part("half", 128 * half, 128) };
            graph.push("a half", relu::call(io, 128).unwrap());
        }
        graph.push("all", relu::call(relu::Io { x: between, y }, 256).unwrap());
        graph.check()
    }

    #[test]
    fn a_read_needs_every_element_written() {
        let refused = |written: &[usize]| check_after(written).unwrap_err().to_string();
        assert!(refused(&[]).contains("relu (all): `between` is read before anything wrote it"), "{}", refused(&[]));
        for half in [&[0, 0], &[1, 1]] {
            let problem = refused(half);
            assert!(problem.contains("relu (all): `between` is read, but only partly written"), "{problem}");
        }
        check_after(&[1, 0]).unwrap();
        check_after(&[0, 1]).unwrap();
    }
}
