//! Networks: named layers over named values, a directed graph without cycles. A plain sequence is the usual case.

mod builder;
mod layer;
mod parse;
mod shape;

pub use builder::NetworkBuilder;
pub use layer::{
    Activation, Layer, Padding, Pair, add, avg_pool, conv2d, dense, flatten, global_avg_pool, max_pool, relu,
};
pub use shape::Shape;

use crate::data::ImageShape;
use crate::parameters::{ParameterSet, ParameterSpec};

/// A network whose shapes have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    input: ImageShape,
    nodes: Vec<Node>,
}

/// A layer at its place in a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique within the network.
    pub name: String,
    /// What it does.
    pub layer: Layer,
    /// The values it takes, by number: 0 is the network's input, `i + 1` the output of node `i`.
    pub inputs: Vec<usize>,
    /// Shape of its output for one example.
    pub output: Shape,
}

impl Network {
    /// Starts a network for images of `input`.
    pub fn builder(input: ImageShape) -> NetworkBuilder {
        NetworkBuilder::new(input)
    }

    /// A network of nodes that are known to fit.
    pub(crate) fn from_parts(input: ImageShape, nodes: Vec<Node>) -> Self {
        Self { input, nodes }
    }

    /// Shape of one input image.
    pub fn input(&self) -> ImageShape {
        self.input
    }

    /// The layers in the order in which they run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Shape of value `id`: 0 is the input, `i + 1` the output of node `i`.
    pub fn shape_of(&self, id: usize) -> Shape {
        match id.checked_sub(1) {
            Some(node) => self.nodes[node].output,
            None => Shape::Image(self.input),
        }
    }

    /// Outputs of the last layer: the number of classes.
    pub fn outputs(&self) -> u32 {
        match self.nodes.last().map(|node| node.output) {
            Some(Shape::Vector(units)) => units,
            _ => 0,
        }
    }

    /// The parameters of all layers, in order.
    pub fn parameters(&self) -> ParameterSet {
        let specs = self.nodes.iter().flat_map(|node| self.parameters_of(node));
        ParameterSet::new(specs.collect())
    }

    /// The parameters of one layer: weight, then bias.
    fn parameters_of(&self, node: &Node) -> Vec<ParameterSpec> {
        let input = self.shape_of(node.inputs[0]);
        let (weight, fans, init) = match (&node.layer, input) {
            (Layer::Conv2d { filters, kernel, init, .. }, Shape::Image(image)) => {
                let area = kernel.height * kernel.width;
                let shape = vec![kernel.height, kernel.width, image.channels, *filters];
                (shape, (area * image.channels, area * filters), *init)
            }
            (Layer::Dense { units, init, .. }, Shape::Vector(inputs)) => {
                (vec![inputs, *units], (inputs, *units), *init)
            }
            _ => return Vec::new(),
        };
        let outputs = weight.last().copied().unwrap_or(0);
        vec![
            ParameterSpec::weight(format!("{}.weight", node.name), weight, fans, init),
            ParameterSpec::zeros(format!("{}.bias", node.name), vec![outputs]),
        ]
    }

    /// Floating-point operations of the forward pass of `node` for one example.
    pub fn flops_of(&self, node: &Node) -> u64 {
        let outputs = node.output.len();
        match (&node.layer, self.shape_of(node.inputs[0])) {
            (Layer::Conv2d { kernel, .. }, Shape::Image(image)) => {
                outputs * (2 * u64::from(kernel.height * kernel.width * image.channels) + 1)
            }
            (Layer::Dense { .. }, Shape::Vector(inputs)) => outputs * (2 * u64::from(inputs) + 1),
            (Layer::MaxPool { size, .. } | Layer::AvgPool { size, .. }, _) => {
                outputs * u64::from(size.height * size.width)
            }
            (Layer::Flatten, _) => 0,
            (_, input) => input.len(),
        }
    }
}
