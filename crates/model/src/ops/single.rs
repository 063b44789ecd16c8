//! One layer by itself, forward and backward: what gradient checks and golden cases run.

use super::{Recorder, op_of};
use crate::data::ImageShape;
use crate::network::{Layer, Network, Node, Shape};
use crate::{Engine, ModelError, ParameterSet, fusion};
use tilegrad_kernels::Slice;
use tilegrad_runtime::{Graph, Purpose};

/// The graph of one layer with everything around it bound from outside.
#[derive(Debug, Clone)]
pub struct LayerProgram {
    /// The forward calls, then the backward calls.
    pub graph: Graph,
    /// The layer's weight and bias, if it has any.
    pub set: ParameterSet,
    /// The flat parameter block.
    pub parameters: Slice,
    /// The flat gradient block.
    pub gradients: Slice,
    /// Input of the layer.
    pub input: Slice,
    /// Output of the layer.
    pub output: Slice,
    /// Gradient of the output.
    pub d_output: Slice,
    /// Gradient of the input.
    pub d_input: Slice,
}

impl LayerProgram {
    /// Records `layer`, called `layer`, over a batch of inputs of shape `input`.
    ///
    /// # Errors
    /// [`ModelError::Layer`] if the layer does not take such inputs.
    pub fn record(layer: Layer, input: Shape, batch: u32, engine: Engine) -> Result<Self, ModelError> {
        let problem = |problem| ModelError::Layer { layer: "layer".into(), problem };
        let output_shape = layer.output(&[input]).map_err(problem)?;
        let node = Node { name: "layer".into(), layer, inputs: vec![1], output: output_shape };
        let network = Network::around(input, node.clone());
        let set = network.parameters();
        let element = engine.precision.element();
        let mut recorder = Recorder::new(set.clone(), true);
        recorder.store_as(element);
        let len = |shape: Shape| batch as usize * shape.len() as usize;
        let x = recorder.external("x", len(input), element, Purpose::Activation);
        let d_output = recorder.external("d_output", len(output_shape), element, Purpose::Activation);
        let parameters = recorder.values().clone();
        let gradients = recorder.gradients().cloned().unwrap_or_else(|| parameters.clone());
        let mut op = op_of(&network, &node, batch, engine.lowering)?;
        recorder.enter("layer", "forward");
        let output = op.forward(&mut recorder, std::slice::from_ref(&x))?;
        recorder.keep(&output);
        recorder.enter("layer", "backward");
        let d_input = op.backward(&mut recorder, &d_output, &[true])?.pop().flatten();
        let d_input = d_input.ok_or_else(|| problem("gives no gradient of its input".into()))?;
        recorder.keep(&d_input);
        let graph = fusion::apply(recorder.finish(), engine)?;
        Ok(Self { graph, set, parameters, gradients, input: x, output, d_output, d_input })
    }
}

impl Network {
    /// A network in which `node` takes a value of shape `input`, which comes out of nowhere.
    fn around(input: Shape, node: Node) -> Self {
        let nothing = ImageShape { height: 1, width: 1, channels: 1 };
        let source = Node { name: "source".into(), layer: Layer::Flatten, inputs: vec![0], output: input };
        Self::from_parts(nothing, vec![source, node])
    }
}
