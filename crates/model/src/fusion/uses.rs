//! Who writes and who reads each buffer of a graph.

use tilegrad_kernels::{Access, Slice};
use tilegrad_runtime::Graph;

/// The calls that write and those that read each buffer, by number.
pub struct Uses {
    writers: Vec<Vec<usize>>,
    readers: Vec<Vec<usize>>,
    /// Buffers that live within the graph alone.
    inner: Vec<bool>,
}

impl Uses {
    pub fn of(graph: &Graph) -> Self {
        let none = vec![Vec::new(); graph.buffers().len()];
        let inner = graph.buffers().iter().map(|buffer| !buffer.external).collect();
        let mut uses = Self { writers: none.clone(), readers: none, inner };
        for (at, node) in graph.nodes().iter().enumerate() {
            for (slice, binding) in node.call.buffers().iter().zip(node.call.kernel().bindings) {
                let by_buffer = match binding.access {
                    Access::Read => &mut uses.readers,
                    Access::ReadWrite => &mut uses.writers,
                };
                let calls = &mut by_buffer[slice.buffer.0 as usize];
                if calls.last() != Some(&at) {
                    calls.push(at);
                }
            }
        }
        uses
    }

    /// The one call that writes the buffer of `slice`, if the buffer can be fused away at all.
    pub fn writer(&self, slice: &Slice) -> Option<usize> {
        let buffer = slice.buffer.0 as usize;
        match self.writers[buffer][..] {
            [at] if self.inner[buffer] => Some(at),
            _ => None,
        }
    }

    /// The calls that read the buffer of `slice`.
    pub fn readers(&self, slice: &Slice) -> &[usize] {
        &self.readers[slice.buffer.0 as usize]
    }
}

/// Whether two slices are the same elements, whatever they are called.
pub fn same(a: &Slice, b: &Slice) -> bool {
    (a.buffer, a.offset, a.len) == (b.buffer, b.offset, b.len)
}
