//! Programs: the graph of a training step, of an evaluation step or of a forward pass, and its external buffers.

use crate::config::Config;
use crate::network::Network;
use crate::ops::loss::{self, LossOutput};
use crate::ops::{Op, Recorder, op_of};
use crate::optimiser::Optimiser;
use crate::{Layer, ModelError, fusion};
use tilegrad_kernels::gather_batch::Part;
use tilegrad_kernels::state::{Metrics, StepState};
use tilegrad_kernels::{Element, Slice, adam, advance_step, gather_batch, sgd};
use tilegrad_runtime::{Graph, Purpose};

/// What a program does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forward, backward and update.
    Train,
    /// Forward and loss.
    Evaluate,
    /// Forward only; the outputs are kept.
    Predict,
}

/// Size of the data that a program works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSize {
    /// Examples on the device.
    pub examples: u32,
    /// Examples that a pass takes.
    pub indices: u32,
    /// Most examples in one buffer. Data that is too large for one binding lies in several.
    pub part: u32,
}

impl DataSize {
    /// All examples in one buffer.
    pub fn whole(examples: u32, indices: u32) -> Self {
        Self { examples, indices, part: examples }
    }

    /// The examples of each buffer.
    pub(crate) fn parts(self) -> impl Iterator<Item = Part> {
        let firsts = (0..self.examples).step_by(self.part.max(1) as usize);
        firsts.map(move |first| Part { first, held: self.part.min(self.examples - first) })
    }
}

/// A graph with the buffers that must be bound to it.
#[derive(Debug, Clone)]
pub struct Program {
    /// The calls.
    pub graph: Graph,
    /// The flat parameter block.
    pub parameters: Slice,
    /// The flat gradient block, when training.
    pub gradients: Option<Slice>,
    /// What the optimiser remembers, when training.
    pub optimiser: Vec<Slice>,
    /// Images as bytes, packed four to a word: one buffer, unless the data is too large for one binding.
    pub images: Vec<Slice>,
    /// Labels of the images.
    pub labels: Slice,
    /// Order in which a pass takes the examples.
    pub indices: Slice,
    /// The step state.
    pub state: Slice,
    /// The metrics, unless predicting.
    pub metrics: Option<Slice>,
    /// Outputs of the last layer, when predicting.
    pub output: Option<Slice>,
}

impl Program {
    /// Records a step of `config` over batches of `batch`.
    ///
    /// # Errors
    /// [`ModelError`] if a shape is too large for the kernels.
    pub fn record(config: &Config, mode: Mode, batch: u32, data: DataSize) -> Result<Self, ModelError> {
        let network = &config.network;
        let mut recorder = Recorder::new(network.parameters(), mode == Mode::Train);
        recorder.store_as(config.engine.precision.element());
        let images = record_images(&mut recorder, network.shape_of(0).len(), data);
        let labels = recorder.external("labels", data.examples as usize, Element::U32, Purpose::Data);
        let indices = recorder.external("indices", data.indices as usize, Element::U32, Purpose::Data);
        let state = recorder.external("state", StepState::WORDS, Element::U32, Purpose::State);
        let mut program = Self {
            graph: Graph::new(),
            parameters: recorder.values().clone(),
            gradients: recorder.gradients().cloned(),
            optimiser: Vec::new(),
            images,
            labels,
            indices,
            state,
            metrics: None,
            output: None,
        };
        let (x, y) = program.record_gather(&mut recorder, config, batch, data)?;
        let Forward { ops, values } = record_forward(&mut recorder, config, batch, x.clone())?;
        let output = values.last().cloned().unwrap_or(x);
        match mode {
            Mode::Predict => {
                recorder.keep(&output);
                program.output = Some(output);
            }
            Mode::Evaluate => {
                let loss = program.record_loss(&mut recorder, config, batch, &output, &y)?;
                program.record_advance(&mut recorder, config, batch, loss.row_metrics)?;
            }
            Mode::Train => {
                let loss = program.record_loss(&mut recorder, config, batch, &output, &y)?;
                recorder.store_as(config.engine.precision.element());
                record_backward(&mut recorder, network, &ops, loss.d_output)?;
                program.record_update(&mut recorder, config)?;
                program.record_advance(&mut recorder, config, batch, loss.row_metrics)?;
            }
        }
        program.graph = fusion::apply(recorder.finish(), config.engine)?;
        Ok(program)
    }

    fn record_gather(
        &self,
        recorder: &mut Recorder,
        config: &Config,
        batch: u32,
        data: DataSize,
    ) -> Result<(Slice, Slice), ModelError> {
        recorder.enter("data", "");
        let size = config.network.shape_of(0).len() as u32;
        let x = recorder.activation("x", batch as usize * size as usize);
        let y = recorder.integers("labels", batch as usize);
        for (images, part) in self.images.iter().zip(data.parts()) {
            let io = gather_batch::Io {
                images: images.clone(),
                labels: self.labels.clone(),
                indices: self.indices.clone(),
                state: self.state.clone(),
                x: x.clone(),
                y: y.clone(),
            };
            let DataSize { examples, indices, .. } = data;
            let (scale, shift) = (config.data.scale, config.data.shift);
            recorder.push(gather_batch::call(
                io,
                gather_batch::Dims { examples, part, size, indices, batch, scale, shift },
            ))?;
        }
        Ok((x, y))
    }

    fn record_loss(
        &self,
        recorder: &mut Recorder,
        config: &Config,
        batch: u32,
        output: &Slice,
        labels: &Slice,
    ) -> Result<LossOutput, ModelError> {
        let (classes, loss_scale) = (config.network.outputs(), config.engine.precision.loss_scale());
        loss::record(recorder, config.train.loss, output, labels, &self.state, (batch, classes), loss_scale)
    }

    /// Comes last: everything before it reads the step state that it advances.
    fn record_advance(
        &mut self,
        recorder: &mut Recorder,
        config: &Config,
        batch: u32,
        row_metrics: Slice,
    ) -> Result<(), ModelError> {
        let metrics = recorder.external("metrics", Metrics::WORDS, Element::U32, Purpose::State);
        let (beta1, beta2) = config.optimiser.betas();
        recorder.enter("advance", "");
        let io = advance_step::Io { row_metrics, state: self.state.clone(), metrics: metrics.clone() };
        recorder.push(advance_step::call(io, advance_step::Settings { batch, beta1, beta2 }))?;
        self.metrics = Some(metrics);
        Ok(())
    }

    fn record_update(&mut self, recorder: &mut Recorder, config: &Config) -> Result<(), ModelError> {
        let (optimiser, loss_scale) = (config.optimiser, config.engine.precision.loss_scale());
        let (param, state) = (self.parameters.clone(), self.state.clone());
        let Some(grad) = self.gradients.clone() else { return Ok(()) };
        let count = param.len as u32;
        let blocks = optimiser.blocks().iter();
        self.optimiser =
            blocks.map(|name| recorder.external(name, param.len, Element::F32, Purpose::Optimiser)).collect();
        recorder.enter("optimiser", "");
        match optimiser {
            Optimiser::Adam { beta1, beta2, epsilon, weight_decay, .. } => {
                let (m, v) = (self.optimiser[0].clone(), self.optimiser[1].clone());
                let settings = adam::Settings { count, beta1, beta2, epsilon, weight_decay, loss_scale };
                recorder.push(adam::call(adam::Io { grad, state, param, m, v }, settings))
            }
            Optimiser::Sgd { momentum, nesterov, weight_decay, .. } => {
                let velocity = self.optimiser[0].clone();
                let settings = sgd::Settings { count, momentum, nesterov, weight_decay, loss_scale };
                recorder.push(sgd::call(sgd::Io { grad, state, param, velocity }, settings))
            }
        }
    }
}

/// A buffer for each part of the images, which are `size` bytes each.
fn record_images(recorder: &mut Recorder, size: u64, data: DataSize) -> Vec<Slice> {
    let several = data.part < data.examples;
    let parts = data.parts().enumerate().map(|(at, part)| {
        let name = if several { format!("images{}", at + 1) } else { "images".into() };
        let words = (u64::from(part.held) * size).div_ceil(4) as usize;
        recorder.external(&name, words, Element::U32, Purpose::Data)
    });
    parts.collect()
}

/// The forward pass as recorded.
struct Forward {
    ops: Vec<Box<dyn Op>>,
    /// The input, then the output of each layer.
    values: Vec<Slice>,
}

/// Records every layer. The outputs of the last one are f32: the loss is taken of them, and few they are.
fn record_forward(recorder: &mut Recorder, config: &Config, batch: u32, x: Slice) -> Result<Forward, ModelError> {
    let network = &config.network;
    let mut values = vec![x];
    let mut ops = Vec::new();
    let last = network.nodes().iter().rposition(|node| !matches!(node.layer, Layer::Flatten));
    for (at, node) in network.nodes().iter().enumerate() {
        if Some(at) == last {
            recorder.store_as(Element::F32);
        }
        recorder.enter(&node.name, "forward");
        let mut op = op_of(network, node, batch, config.engine.lowering)?;
        let inputs: Vec<Slice> = node.inputs.iter().map(|&id| values[id].clone()).collect();
        values.push(op.forward(recorder, &inputs)?);
        ops.push(op);
    }
    Ok(Forward { ops, values })
}

/// Records every layer's gradients in reverse. The gradient of a value that several layers take is the sum of
/// what each of them gives.
fn record_backward(
    recorder: &mut Recorder,
    network: &Network,
    ops: &[Box<dyn Op>],
    d_output: Slice,
) -> Result<(), ModelError> {
    let trained = values_behind_parameters(network);
    let mut gradients: Vec<Option<Slice>> = vec![None; network.nodes().len() + 1];
    gradients[network.nodes().len()] = Some(d_output);
    for (at, (node, op)) in network.nodes().iter().zip(ops).enumerate().rev() {
        // A value that nothing takes has no gradient, and neither has what leads only to it.
        let Some(d_value) = gradients[at + 1].take() else { continue };
        recorder.enter(&node.name, "backward");
        let wanted: Vec<bool> = node.inputs.iter().map(|&id| trained[id]).collect();
        for (&id, d_input) in node.inputs.iter().zip(op.backward(recorder, &d_value, &wanted)?) {
            gradients[id] = match (gradients[id].take(), d_input) {
                (Some(a), Some(b)) => Some(recorder.sum(&a, &b, "d_sum")?),
                (a, b) => a.or(b),
            };
        }
    }
    Ok(())
}

/// For each value whether any parameter lies before it: only then is its gradient worth computing.
fn values_behind_parameters(network: &Network) -> Vec<bool> {
    let mut trained = vec![false];
    for node in network.nodes() {
        let own = matches!(node.layer, Layer::Conv2d { .. } | Layer::Dense { .. });
        let behind = own || node.inputs.iter().any(|&id| trained[id]);
        trained.push(behind);
    }
    trained
}
