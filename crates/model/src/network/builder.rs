//! Building a network layer by layer.

use super::{Layer, Network, Node, Shape};
use crate::ModelError;
use crate::data::ImageShape;
use std::collections::HashMap;

/// Collects layers; the first problem is kept until [`NetworkBuilder::build`].
#[derive(Debug)]
pub struct NetworkBuilder {
    network: Network,
    counts: HashMap<&'static str, u32>,
    problem: Option<ModelError>,
}

impl NetworkBuilder {
    pub(super) fn new(input: ImageShape) -> Self {
        let problem = input
            .is_empty()
            .then(|| ModelError::Layer { layer: "input".into(), problem: format!("has no pixels: {input}") });
        Self { network: Network { input, nodes: Vec::new() }, counts: HashMap::new(), problem }
    }

    /// Appends a layer that takes what the last one gives.
    pub fn layer(self, layer: Layer) -> Self {
        let last = self.network.nodes.len();
        self.push(None, layer, vec![last])
    }

    /// As [`NetworkBuilder::layer`], with a name that later layers can refer to.
    pub fn named(self, name: &str, layer: Layer) -> Self {
        let last = self.network.nodes.len();
        self.push(Some(name), layer, vec![last])
    }

    /// Appends a layer that takes the outputs of the layers named; `input` is the network's input.
    pub fn layer_from(self, name: &str, layer: Layer, inputs: &[&str]) -> Self {
        self.push_from(Some(name), layer, inputs)
    }

    pub(super) fn push_from(mut self, name: Option<&str>, layer: Layer, inputs: &[&str]) -> Self {
        let mut found = Vec::new();
        for input in inputs {
            match self.value(input) {
                Some(value) => found.push(value),
                None => {
                    let problem = format!("takes `{input}`, but no layer before it has that name");
                    let layer = name.unwrap_or(layer.kind()).to_owned();
                    self.problem.get_or_insert(ModelError::Layer { layer, problem });
                    return self;
                }
            }
        }
        self.push(name, layer, found)
    }

    fn value(&self, name: &str) -> Option<usize> {
        if name == "input" {
            return Some(0);
        }
        self.network.nodes.iter().position(|node| node.name == name).map(|node| node + 1)
    }

    fn push(mut self, name: Option<&str>, layer: Layer, inputs: Vec<usize>) -> Self {
        let name = name.map_or_else(|| self.next_name(&layer), str::to_owned);
        let shapes: Vec<Shape> = inputs.iter().map(|&id| self.network.shape_of(id)).collect();
        let output = if self.value(&name).is_some() {
            Err("has a name that is already taken".to_owned())
        } else if name.is_empty() || name.contains(['/', '.']) {
            Err("has a name that is empty or contains `.` or `/`".to_owned())
        } else {
            layer.output(&shapes)
        };
        match output {
            Ok(output) => self.network.nodes.push(Node { name, layer, inputs, output }),
            Err(problem) => {
                self.problem.get_or_insert(ModelError::Layer { layer: name, problem });
            }
        }
        self
    }

    /// `conv1`, `conv2`, `dense1` …
    fn next_name(&mut self, layer: &Layer) -> String {
        let stem = match layer.kind() {
            "conv2d" => "conv",
            kind => kind,
        };
        let count = self.counts.entry(stem).or_default();
        *count += 1;
        format!("{stem}{count}")
    }

    /// The network, if every layer fits.
    ///
    /// # Errors
    /// [`ModelError::Layer`] for the first that does not, or if the last one gives no vector.
    pub fn build(self) -> Result<Network, ModelError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let count = self.network.nodes.len();
        let used = |value: usize| self.network.nodes.iter().any(|node| node.inputs.contains(&value));
        if let Some(dangling) = (1..count).find(|&value| !used(value)) {
            let layer = self.network.nodes[dangling - 1].name.clone();
            return Err(ModelError::Layer { layer, problem: "no later layer takes its output".into() });
        }
        match self.network.nodes.last() {
            Some(Node { output: Shape::Vector(_), .. }) => Ok(self.network),
            Some(node) => Err(ModelError::Layer {
                layer: node.name.clone(),
                problem: format!("is the last and gives {}; end with dense or global_avg_pool", node.output),
            }),
            None => Err(ModelError::Layer { layer: "input".into(), problem: "no layer follows it".into() }),
        }
    }
}
