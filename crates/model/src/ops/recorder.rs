//! Records calls into a graph on behalf of ops.

use crate::ModelError;
use crate::parameters::ParameterSet;
use std::collections::HashMap;
use tilegrad_kernels::{Call, Element, ShapeError, Slice, add};
use tilegrad_runtime::{Graph, Purpose};

/// A graph being recorded, with the blocks that every op shares.
pub(crate) struct Recorder {
    graph: Graph,
    parameters: ParameterSet,
    values: Slice,
    gradients: Option<Slice>,
    stored: Element,
    scope: String,
    names: HashMap<String, u32>,
}

impl Recorder {
    /// A recorder over new blocks for `parameters`, with gradients if it is to `train`; values are stored as f32.
    pub fn new(parameters: ParameterSet, train: bool) -> Self {
        let mut graph = Graph::new();
        let len = parameters.len();
        let values = graph.external("parameters", len, Element::F32, Purpose::Parameters);
        let gradients = train.then(|| graph.external("gradients", len, Element::F32, Purpose::Gradients));
        let (stored, scope, names) = (Element::F32, String::new(), HashMap::new());
        Self { graph, parameters, values, gradients, stored, scope, names }
    }

    /// Stores the values of the layers recorded from here on, and their gradients, as `element`.
    pub fn store_as(&mut self, element: Element) {
        self.stored = element;
    }

    /// The whole parameter block.
    pub fn values(&self) -> &Slice {
        &self.values
    }

    /// The whole gradient block, when training.
    pub fn gradients(&self) -> Option<&Slice> {
        self.gradients.as_ref()
    }

    /// Starts the calls of a layer in one direction.
    pub fn enter(&mut self, layer: &str, direction: &str) {
        self.scope = format!("{layer} {direction}").trim().to_owned();
    }

    /// The values of a parameter.
    pub fn parameter(&self, name: &str) -> Result<Slice, ModelError> {
        let found = self.parameters.slice(&self.values, name);
        found.ok_or_else(|| ModelError::Mismatch(format!("the network has no parameter `{name}`")))
    }

    /// Where the gradient of a parameter goes.
    pub fn gradient(&self, name: &str) -> Result<Slice, ModelError> {
        let block = self.gradients.as_ref();
        let found = block.and_then(|block| self.parameters.slice(block, name));
        let found = found.map(|slice| slice.part(&format!("d_{name}"), 0, slice.len));
        found.ok_or_else(|| ModelError::Mismatch(format!("there is no gradient of `{name}`")))
    }

    /// Where the gradients of a layer's weight and bias go, in one slice, and where in it that of the bias starts.
    pub fn layer_gradient(&self, layer: &str) -> Result<(Slice, u32), ModelError> {
        let (weight, bias) = (self.gradient(&format!("{layer}.weight"))?, self.gradient(&format!("{layer}.bias"))?);
        let bias_offset = bias.offset - weight.offset;
        Ok((weight.part(&format!("d_{layer}"), 0, bias_offset + bias.len), bias_offset as u32))
    }

    /// A buffer from outside.
    pub fn external(&mut self, name: &str, len: usize, element: Element, purpose: Purpose) -> Slice {
        self.graph.external(name, len, element, purpose)
    }

    /// A new buffer of stored values between layers, named after the current layer.
    pub fn activation(&mut self, role: &str, len: usize) -> Slice {
        self.transient(role, len, self.stored, Purpose::Activation)
    }

    /// A new buffer of stored values within a layer.
    pub fn inner(&mut self, role: &str, len: usize) -> Slice {
        self.transient(role, len, self.stored, Purpose::Scratch)
    }

    /// A new buffer of f32 within a layer: sums that are not complete.
    pub fn scratch(&mut self, role: &str, len: usize) -> Slice {
        self.transient(role, len, Element::F32, Purpose::Scratch)
    }

    /// A new integer buffer that the reverse pass will need.
    pub fn integers(&mut self, role: &str, len: usize) -> Slice {
        self.transient(role, len, Element::U32, Purpose::Activation)
    }

    fn transient(&mut self, role: &str, len: usize, element: Element, purpose: Purpose) -> Slice {
        let layer = self.scope.split(' ').next().unwrap_or_default();
        let stem = if layer.is_empty() { role.to_owned() } else { format!("{layer}.{role}") };
        let uses = self.names.entry(stem.clone()).or_default();
        *uses += 1;
        let name = if *uses == 1 { stem } else { format!("{stem}#{uses}") };
        self.graph.transient(&name, len, element, purpose)
    }

    /// Appends a call of the current layer.
    pub fn push(&mut self, call: Result<Call, ShapeError>) -> Result<(), ModelError> {
        self.graph.push(&self.scope, call?);
        Ok(())
    }

    /// `a + b` in a new buffer.
    pub fn sum(&mut self, a: &Slice, b: &Slice, role: &str) -> Result<Slice, ModelError> {
        let y = self.activation(role, a.len);
        self.push(add::call(add::Io { a: a.clone(), b: b.clone(), y: y.clone() }, a.len as u32))?;
        Ok(y)
    }

    /// Makes `value` readable from outside after a run.
    pub fn keep(&mut self, value: &Slice) {
        self.graph.keep(value);
    }

    /// The graph, when everything is recorded.
    pub fn finish(self) -> Graph {
        self.graph
    }
}
