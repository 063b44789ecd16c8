//! Prediction: forward passes over images that the host hands over, prepared once.

use super::device_data::{check, pack_into};
use super::{Trainer, Work};
use crate::data::Dataset;
use crate::program::DataSize;
use crate::{Mode, ModelError, Program};
use std::collections::VecDeque;
use tilegrad_kernels::Element;
use tilegrad_kernels::state::StepState;
use tilegrad_runtime::{Device, Memory, Plan, Snapshot};

/// Batches of [`Trainer::predict`] on their way; the oldest is waited for when there are more.
const IN_FLIGHT: usize = 2;

/// Forward passes over batches of images from the host. Everything is prepared when it is made; a pass writes the bytes of
/// its images, runs, and reads the outputs back.
///
/// The parameters are the trainer's own: a pass sees them as they are when it is submitted.
#[derive(Debug)]
pub struct Predictor {
    device: Device,
    plan: Plan,
    images: Memory,
    state: Memory,
    outputs: Memory,
    element: Element,
    /// The state as it is on the device.
    current: StepState,
    /// The bytes of a batch, four to a word.
    words: Vec<u32>,
    /// Lies in the outputs before a pass.
    poison: Vec<u32>,
    batch: usize,
    image_len: usize,
    classes: usize,
}

/// Outputs on their way to the host.
#[derive(Debug)]
pub struct PendingOutputs {
    device: Device,
    snapshot: Snapshot,
    element: Element,
    classes: usize,
    /// Outputs that belong to images; those behind them belong to the padding.
    len: usize,
}

impl Trainer {
    /// Prepares forward passes over up to `batch` images at a time.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] if `batch` is 0, [`ModelError::Shape`] or [`ModelError::Runtime`] if it is too large.
    pub fn predictor(&self, batch: u32) -> Result<Predictor, ModelError> {
        if batch == 0 {
            return Err(ModelError::Mismatch("a batch must have at least 1 image, got 0".into()));
        }
        let (device, config) = (&self.device, &self.config);
        let size = DataSize::whole(batch, batch);
        let program = Program::record(config, Mode::Predict, batch, size)?;
        let Some(output) = &program.output else {
            return Err(ModelError::Mismatch("the network has no output".into()));
        };
        let current = StepState { count: batch, ..config.optimiser.initial_state(0) };
        let len = program.images.iter().map(|slice| slice.len).sum();
        let images = device.alloc("images", len)?;
        let labels = device.alloc("labels", program.labels.len)?;
        let indices = device.upload("indices", &(0..batch).collect::<Vec<u32>>())?;
        let state = device.upload("prediction state", &current.to_words())?;
        let outputs = device.alloc("outputs", output.words())?;
        let mut external = vec![
            (&program.parameters, &self.parameters),
            (&program.labels, &labels),
            (&program.indices, &indices),
            (&program.state, &state),
            (output, &outputs),
        ];
        external.extend(program.images.iter().map(|slice| (slice, &images)));
        Ok(Predictor {
            plan: device.prepare(&program.graph, &external)?,
            device: device.clone(),
            words: Vec::with_capacity(len),
            poison: vec![poison(output.element); output.words()],
            batch: batch as usize,
            image_len: config.network.shape_of(0).len() as usize,
            classes: config.network.outputs() as usize,
            images,
            state,
            outputs,
            element: output.element,
            current,
        })
    }
}

impl Predictor {
    /// Most images of one pass.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Outputs of one image.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The outputs of `images`, one row after the other.
    ///
    /// # Shapes
    /// `images`: `[n, height, width, channels]`, 0 to 255, with `n` from 1 to the batch; the result: `[n, classes]`.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] for another number of bytes, [`ModelError::Runtime`] if the device is lost,
    /// [`ModelError::WorkLost`] if it left outputs unwritten.
    pub fn run(&mut self, images: &[u8]) -> Result<Vec<f32>, ModelError> {
        self.submit(images)?.wait()
    }

    /// As [`Predictor::run`], without waiting on an adapter: the next batch can be submitted before this one is done.
    ///
    /// # Errors
    /// Those of [`Predictor::run`].
    pub fn submit(&mut self, images: &[u8]) -> Result<PendingOutputs, ModelError> {
        let count = self.count(images.len())?;
        pack_into(images, &mut self.words);
        self.device.write(&self.images, 0, &self.words)?;
        if self.current.count != count as u32 {
            // Rows beyond the count are gathered as zeros, whatever an earlier batch left in the images.
            self.current.count = count as u32;
            self.device.write(&self.state, 0, &self.current.to_words())?;
        }
        self.device.write(&self.outputs, 0, &self.poison)?;
        self.plan.run(1)?;
        let snapshot = self.device.snapshot(&self.outputs)?;
        let (device, element, classes) = (self.device.clone(), self.element, self.classes);
        Ok(PendingOutputs { device, snapshot, element, classes, len: count * classes })
    }

    /// Images in so many bytes.
    fn count(&self, bytes: usize) -> Result<usize, ModelError> {
        let count = bytes / self.image_len;
        if bytes.is_multiple_of(self.image_len) && (1..=self.batch).contains(&count) {
            return Ok(count);
        }
        let (batch, len) = (self.batch, self.image_len);
        let problem = format!("a batch takes 1 to {batch} images of {len} bytes each, got {bytes} bytes");
        Err(ModelError::Mismatch(problem))
    }
}

impl PendingOutputs {
    /// Waits for the outputs, `[n, classes]`.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the device is lost, [`ModelError::WorkLost`] if it left outputs unwritten.
    pub fn wait(self) -> Result<Vec<f32>, ModelError> {
        let words = self.snapshot.wait()?;
        let unwritten = poison(self.element);
        let of_images = &words[..self.element.words(self.len)];
        if of_images.contains(&unwritten) {
            let examples = |outputs: usize| (outputs / self.classes) as u32;
            let written = of_images.iter().filter(|word| **word != unwritten).count() * self.len / of_images.len();
            let counted = Work { steps: u32::from(written > 0), examples: examples(written) };
            Work { steps: 1, examples: examples(self.len) }.check(counted, &self.device, "prediction")?;
        }
        Ok(self.element.floats(&words, self.len))
    }
}

/// A word of outputs that nobody wrote: signalling NaNs, which no arithmetic gives.
fn poison(element: Element) -> u32 {
    match element {
        Element::F32 | Element::U32 => 0xffa5_5a5a,
        Element::F16 => 0xfd5a_fd5a,
    }
}

/// Outputs of every example of `data`.
pub(super) fn predict(trainer: &Trainer, data: &Dataset) -> Result<Vec<Vec<f32>>, ModelError> {
    check(&trainer.config, data)?;
    let mut predictor = trainer.predictor(trainer.config.train.batch.min(data.len() as u32))?;
    let mut pending = VecDeque::new();
    let mut outputs: Vec<f32> = Vec::with_capacity(data.len() * predictor.classes);
    for images in data.images().chunks(predictor.batch * predictor.image_len) {
        pending.push_back(predictor.submit(images)?);
        if pending.len() > IN_FLIGHT
            && let Some(oldest) = pending.pop_front()
        {
            outputs.extend(oldest.wait()?);
        }
    }
    for rest in pending {
        outputs.extend(rest.wait()?);
    }
    Ok(outputs.chunks_exact(predictor.classes).map(<[f32]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageShape;
    use crate::{Config, Network, conv2d, dense, flatten};
    use tilegrad_runtime::DeviceChoice;

    /// Images of 35 bytes: a batch of three does not fill its last word.
    const SHAPE: ImageShape = ImageShape { height: 5, width: 7, channels: 1 };

    fn trainer(batch: u32) -> Trainer {
        let network = Network::builder(SHAPE).layer(conv2d(3, 3).relu()).layer(flatten()).layer(dense(2)).build();
        let mut config = Config::new(network.unwrap());
        config.train.batch = batch;
        Trainer::new(Device::open(&DeviceChoice::Cpu, Default::default()).unwrap(), config).unwrap()
    }

    fn images(count: usize) -> Vec<u8> {
        (0..count * 35).map(|i| (i * 37 % 251) as u8).collect()
    }

    #[test]
    fn a_short_batch_gives_its_own_rows_and_leaves_no_trace() {
        let mut predictor = trainer(4).predictor(4).unwrap();
        let images = images(4);
        let all = predictor.run(&images).unwrap();
        assert_eq!((all.len(), predictor.batch(), predictor.classes()), (8, 4, 2));
        for count in [3, 1, 4, 2] {
            assert_eq!(predictor.run(&images[..count * 35]).unwrap(), all[..count * 2], "{count} images");
        }
        assert_eq!(predictor.run(&images[35..]).unwrap(), all[2..]);
    }

    #[test]
    fn batches_on_their_way_do_not_mix() {
        let mut predictor = trainer(4).predictor(2).unwrap();
        let images = images(3);
        let first = predictor.submit(&images[..70]).unwrap();
        let second = predictor.submit(&images[70..]).unwrap();
        let (second, first) = (second.wait().unwrap(), first.wait().unwrap());
        assert_eq!(first, predictor.run(&images[..70]).unwrap());
        assert_eq!(second, predictor.run(&images[70..]).unwrap());
    }

    #[test]
    fn all_examples_are_predicted_in_order() {
        let data = Dataset::new("d", SHAPE, images(11), vec![0; 11], vec!["a".into(), "b".into()]).unwrap();
        let trainer = trainer(4);
        let rows = trainer.predict(&data).unwrap();
        let mut predictor = trainer.predictor(4).unwrap();
        let one_by_one = (0..11).map(|i| predictor.run(data.image(i)).unwrap());
        assert_eq!(rows, one_by_one.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let trainer = trainer(4);
        assert!(matches!(trainer.predictor(0), Err(ModelError::Mismatch(problem)) if problem.contains("got 0")));
        let mut predictor = trainer.predictor(2).unwrap();
        for bytes in [0, 34, 36, 105] {
            let refused = predictor.run(&vec![0; bytes]);
            let named =
                |problem: &str| problem.contains("1 to 2 images of 35 bytes") && problem.contains(&bytes.to_string());
            assert!(matches!(refused, Err(ModelError::Mismatch(problem)) if named(&problem)), "{bytes} bytes");
        }
    }
}
