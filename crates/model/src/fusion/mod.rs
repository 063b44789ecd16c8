//! Fusion: neighbouring calls become one where a kernel does the work of both. A pass over the graph that may be left out
//! (`--no-fuse`); the result is the same up to rounding.
//!
//! Each rule looks for a call, checks that the buffer between two calls is seen by nobody else, and rewrites the calls
//! around it. A buffer that is bound from outside, or kept, is never fused away.

mod pool;
mod relu;
mod uses;

use crate::{Engine, ModelError};
use tilegrad_runtime::{Graph, Node};

/// The graph with everything fused that `engine` wants fused, and nothing bound that keeps memory for no use.
pub fn apply(graph: Graph, engine: Engine) -> Result<Graph, ModelError> {
    if !engine.fuse {
        return relu::release_unread_images(graph);
    }
    let graph = relu::into_convolutions(graph)?;
    let graph = pool::into_convolutions(graph)?;
    let graph = relu::gradients_into_convolutions(graph)?;
    relu::release_unread_images(graph)
}

/// The calls of a graph while a rule rewrites them; removed ones keep their place until the end.
struct Rewrite {
    nodes: Vec<Option<Node>>,
}

impl Rewrite {
    fn of(graph: &Graph) -> Self {
        Self { nodes: graph.nodes().iter().cloned().map(Some).collect() }
    }

    /// Puts `call` where the call number `at` was.
    fn replace(&mut self, at: usize, call: tilegrad_kernels::Call) {
        if let Some(node) = &mut self.nodes[at] {
            node.call = call;
        }
    }

    fn remove(&mut self, at: usize) {
        self.nodes[at] = None;
    }

    fn finish(self, graph: Graph) -> Graph {
        graph.with_nodes(self.nodes.into_iter().flatten().collect())
    }
}
