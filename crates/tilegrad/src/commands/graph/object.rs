//! A graph as an object of JSON.

use serde::Serialize;
use serde_json::{Map, Value};
use tilegrad_kernels::{Access, Call, FieldType, Kernel};
use tilegrad_runtime::{Graph, Node};

/// A step.
#[derive(Serialize)]
pub struct Step {
    batch: u32,
    calls: Vec<CallObject>,
    flops: u64,
    bytes: u64,
}

/// A call of it.
#[derive(Serialize)]
struct CallObject {
    call: usize,
    layer: String,
    kernel: &'static str,
    flops: u64,
    bytes: u64,
    /// Buffers by the names that the kernel has for them.
    reads: Map<String, Value>,
    writes: Map<String, Value>,
    params: Map<String, Value>,
}

impl Step {
    /// The calls of `graph` with their sums.
    pub fn new(graph: &Graph, batch: u32) -> Self {
        let calls: Vec<CallObject> = graph.nodes().iter().enumerate().map(|(at, node)| call(at + 1, node)).collect();
        let sum = |of: fn(&CallObject) -> u64| calls.iter().map(of).sum();
        Self { batch, flops: sum(|call| call.flops), bytes: sum(|call| call.bytes), calls }
    }
}

fn call(number: usize, Node { call, scope }: &Node) -> CallObject {
    let cost = call.cost();
    CallObject {
        call: number,
        layer: scope.clone(),
        kernel: call.kernel().name,
        flops: cost.flops,
        bytes: cost.bytes,
        reads: buffers(call, Access::Read),
        writes: buffers(call, Access::ReadWrite),
        params: params(call.kernel(), call.params()),
    }
}

fn buffers(call: &Call, access: Access) -> Map<String, Value> {
    let bound = call.kernel().bindings.iter().zip(call.buffers()).filter(|(binding, _)| binding.access == access);
    bound.map(|(binding, slice)| (binding.name.into(), slice.to_string().into())).collect()
}

/// The words of a params struct by the names of its fields.
pub fn params(kernel: &Kernel, words: &[u32]) -> Map<String, Value> {
    let fields = kernel.params.iter().zip(words).map(|(field, word)| {
        let value = match field.ty {
            FieldType::U32 => Value::from(*word),
            FieldType::F32 => Value::from(f32::from_bits(*word)),
        };
        (field.name.to_owned(), value)
    });
    fields.collect()
}
