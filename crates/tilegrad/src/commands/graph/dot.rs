//! A graph in Graphviz DOT: a node per call, an edge per buffer from the call that wrote it to those that read it.

use std::collections::BTreeSet;
use std::fmt::Write;
use tilegrad_kernels::{Access, Slice};
use tilegrad_runtime::{Graph, Node};

/// A slice as it was last written, and the call that did.
struct Written<'a> {
    slice: &'a Slice,
    call: usize,
    read: bool,
}

/// The edges so far, and what stands in the buffers.
#[derive(Default)]
struct Drawing<'a> {
    written: Vec<Written<'a>>,
    /// Contents that come from outside the step or stay after it, with their node's text.
    outside: BTreeSet<String>,
    edges: String,
}

/// The graph as DOT.
pub fn text(graph: &Graph) -> String {
    let mut drawing = Drawing::default();
    for (number, node) in graph.nodes().iter().enumerate() {
        drawing.call(number, node);
    }
    drawing.results(graph);
    let mut text = String::from("digraph step {\n  rankdir=TB;\n  node [fontname=\"sans-serif\", fontsize=10];\n");
    text.push_str("  edge [fontname=\"sans-serif\", fontsize=8];\n");
    for (number, node) in graph.nodes().iter().enumerate() {
        text.push_str(&call_node(number, node));
    }
    for line in &drawing.outside {
        text.push_str(line);
    }
    text + &drawing.edges + "}\n"
}

impl<'a> Drawing<'a> {
    fn call(&mut self, number: usize, node: &'a Node) {
        let bound: Vec<(&Slice, Access)> =
            node.call.buffers().iter().zip(node.call.kernel().bindings.iter().map(|binding| binding.access)).collect();
        for (slice, _) in bound.iter().filter(|(_, access)| *access == Access::Read) {
            self.read(number, slice);
        }
        for (slice, _) in bound.iter().filter(|(_, access)| *access == Access::ReadWrite) {
            self.written.retain(|old| !contains(slice, old.slice));
            self.written.push(Written { slice, call: number, read: false });
        }
    }

    fn read(&mut self, number: usize, slice: &Slice) {
        let mut found = false;
        for written in self.written.iter_mut().filter(|written| overlap(written.slice, slice)) {
            (found, written.read) = (true, true);
            edge(&mut self.edges, &format!("c{}", written.call), &format!("c{number}"), written.slice, "");
        }
        if !found {
            let source = self.outside(slice);
            edge(&mut self.edges, &source, &format!("c{number}"), slice, "");
        }
    }

    /// What nobody read within the step stays for the next one or for the host.
    fn results(&mut self, graph: &Graph) {
        for written in std::mem::take(&mut self.written) {
            if !written.read && graph.buffer(written.slice.buffer).external {
                let known = self.outside.len();
                let sink = self.outside(written.slice);
                // An arrow back to a source must not turn the picture upside down.
                let back = if self.outside.len() == known { ", constraint=false" } else { "" };
                let style = format!(", style=dashed{back}");
                edge(&mut self.edges, &format!("c{}", written.call), &sink, written.slice, &style);
            }
        }
    }

    /// The node of contents outside the step.
    fn outside(&mut self, slice: &Slice) -> String {
        let id = format!("b{}_{}_{}", slice.buffer.0, slice.offset, slice.len);
        self.outside.insert(format!("  {id} [shape=cylinder, label=\"{}\"];\n", escaped(&slice.name)));
        id
    }
}

fn edge(text: &mut String, from: &str, to: &str, slice: &Slice, more: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {from} -> {to} [label=\"{}\"{more}];", escaped(&slice.to_string()));
}

fn call_node(number: usize, node: &Node) -> String {
    let colour = match node.scope.rsplit(' ').next() {
        Some("forward") => "#d8e8f8",
        Some("backward") => "#f8e0d0",
        _ => "#e8e8e8",
    };
    format!(
        "  c{number} [shape=box, style=\"filled,rounded\", fillcolor=\"{colour}\", label=\"{}. {}\\n{}\"];\n",
        number + 1,
        node.call.kernel().name,
        escaped(&node.scope)
    )
}

fn overlap(a: &Slice, b: &Slice) -> bool {
    a.buffer == b.buffer && a.offset < b.offset + b.len && b.offset < a.offset + a.len
}

fn contains(outer: &Slice, inner: &Slice) -> bool {
    outer.buffer == inner.buffer && outer.offset <= inner.offset && inner.offset + inner.len <= outer.offset + outer.len
}

/// Layer names are the user's own.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
