//! Devices that do nothing, or everything twice, and trainings that are stopped: what is said and what is saved is true.

use std::ops::ControlFlow;
use tilegrad_kernels::state::{Metrics, StepState};
use tilegrad_kernels::{Element, advance_step, hash, softmax_cross_entropy};
use tilegrad_model::data::ImageShape;
use tilegrad_model::{
    Config, EpochRecord, ModelError, Monitor, Network, Observer, Precision, Progress, Trainer, conv2d, dense, flatten,
    max_pool,
};
use tilegrad_runtime::{Device, Fault, Graph, Purpose};
use tilegrad_tests::{devices, spots};

const SHAPE: ImageShape = ImageShape { height: 9, width: 8, channels: 2 };

fn devices() -> [Device; 2] {
    [devices::cpu().unwrap(), devices::adapter().unwrap()]
}

fn config(shape: ImageShape, epochs: u32) -> Config {
    let network =
        Network::builder(shape).layer(conv2d(4, 3).relu()).layer(max_pool(2)).layer(flatten()).layer(dense(4));
    let mut config = Config::new(network.build().unwrap());
    (config.train.epochs, config.train.batch) = (epochs, 24);
    config
}

fn bytes(trainer: &Trainer) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    trainer.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// The error is that of lost work, and says what to do.
fn assert_lost<T: std::fmt::Debug>(result: Result<T, ModelError>, verdict: &str) {
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ModelError::WorkLost { .. }), "{text}");
    for part in [verdict, "tilegrad validate", "--device cpu"] {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

#[test]
fn a_device_that_does_nothing_or_all_twice_trains_and_tests_nothing() {
    let data = spots(250, SHAPE);
    let faults = [(Fault::DropDispatches, "did nothing"), (Fault::DoubleDispatches, "did work more than once")];
    for device in devices() {
        for (fault, verdict) in faults {
            let faulty = device.clone().with_fault(fault);
            let mut trainer = Trainer::new(faulty.clone(), config(SHAPE, 2)).unwrap();
            let before = trainer.checkpoint().unwrap();
            assert_lost(trainer.fit(&data), verdict);
            // It stands where it stood, but for the names of the classes.
            let classes = before.classes.clone();
            assert!(before == tilegrad_model::Checkpoint { classes, ..trainer.checkpoint().unwrap() });
            trainer.set_watch_nan(true);
            assert_lost(trainer.fit(&data), verdict);
            assert_lost(trainer.evaluate(&data), verdict);
            // One batch: twice is more than there is to see.
            assert_lost(trainer.evaluate(&data.head(5).unwrap()), verdict);
            assert_lost(trainer.steps_in_order(&data, 1), verdict);
            let mut stepper = trainer.stepper(&data).unwrap();
            stepper.run(3).unwrap();
            assert_lost(stepper.wait(), verdict);
            let mut whole = Trainer::new(device.clone(), config(SHAPE, 2)).unwrap();
            let mut trainer = Trainer::new(faulty, config(SHAPE, 2)).unwrap();
            assert!(trainer.compare_step(&mut whole, &data, usize::MAX).unwrap().is_some(), "{fault:?}");
        }
    }
}

#[test]
fn a_device_that_does_nothing_predicts_nothing() {
    let data = spots(50, SHAPE);
    for device in devices() {
        for precision in [Precision::F32, Precision::F16] {
            let mut config = config(SHAPE, 2);
            config.engine.precision = precision;
            let whole = Trainer::new(device.clone(), config.clone()).unwrap();
            let faulty = Trainer::new(device.clone().with_fault(Fault::DropDispatches), config.clone()).unwrap();
            assert_lost(faulty.predict(&data), "did nothing");
            assert_lost(faulty.report(&data), "did nothing");
            // A forward pass twice is the same forward pass.
            let twice = Trainer::new(device.clone().with_fault(Fault::DoubleDispatches), config.clone()).unwrap();
            assert_eq!(twice.predict(&data).unwrap(), whole.predict(&data).unwrap());
        }
    }
}

#[test]
fn a_step_whose_end_is_lost_is_found() {
    let data = spots(250, SHAPE);
    for device in devices() {
        let last =
            Trainer::new(device.clone(), config(SHAPE, 1)).unwrap().stepper(&data).unwrap().graph().nodes().len() - 1;
        let faulty = device.with_fault(Fault::DropCall(last));
        assert_lost(Trainer::new(faulty, config(SHAPE, 1)).unwrap().fit(&data), "did nothing");
    }
}

/// Stops the training at an epoch's end, or within one.
struct Stop {
    after: u32,
    within: Option<u32>,
}

impl Observer for Stop {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        if self.within == Some(progress.epoch) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn epoch(&mut self, _: &Trainer, record: &EpochRecord, _: bool) -> Result<ControlFlow<()>, ModelError> {
        Ok(if record.epoch == self.after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

#[test]
fn a_stopped_training_stands_at_an_epochs_end_and_goes_on_to_the_same_bytes() {
    let data = spots(250, SHAPE);
    for device in devices() {
        let trained = |epochs| {
            let mut trainer = Trainer::new(device.clone(), config(SHAPE, 4)).unwrap();
            trainer.set_epochs(epochs);
            trainer.fit(&data).unwrap();
            trainer.set_epochs(4);
            bytes(&trainer)
        };
        let (two, four) = (trained(2), trained(4));
        for stop in [Stop { after: 2, within: None }, Stop { after: 9, within: Some(3) }] {
            let mut stop = stop;
            let mut trainer = Trainer::new(device.clone(), config(SHAPE, 4)).unwrap();
            let records = trainer.fit_watched(&data, &mut stop).unwrap();
            assert_eq!((records.len(), trainer.epoch()), (2, 2));
            assert!(two == bytes(&trainer), "what is saved is the end of epoch 2 on {}", device.info().name);
            let checkpoint = trainer.checkpoint().unwrap();
            assert_eq!(checkpoint.state.step, 2 * 225u32.div_ceil(24));
            trainer.fit(&data).unwrap();
            assert!(four == bytes(&trainer), "going on with the same trainer");
            let mut trainer = Trainer::resume(device.clone(), checkpoint).unwrap();
            trainer.fit(&data).unwrap();
            assert!(four == bytes(&trainer), "going on from the checkpoint");
        }
    }
}

#[test]
fn data_in_several_buffers_gives_the_bytes_of_one() {
    // 144 bytes an example, four at a time; 63, one by one.
    let odd = ImageShape { height: 7, width: 9, channels: 1 };
    for shape in [SHAPE, odd] {
        let data = spots(250, shape);
        for device in devices() {
            let trained = |device: &Device, precision| {
                let mut config = config(shape, 2);
                config.engine.precision = precision;
                let mut trainer = Trainer::new(device.clone(), config).unwrap();
                let records = trainer.fit(&data).unwrap();
                let figures = records.iter().map(|record| (record.train_loss, record.val_loss)).collect::<Vec<_>>();
                (bytes(&trainer), figures, trainer.evaluate(&data).unwrap())
            };
            let len = (shape.height * shape.width * shape.channels) as u64;
            for (examples, calls) in [(1, 250), (37, 7), (249, 2), (250, 1)] {
                let small = device.clone().with_largest_binding(examples * len + 3);
                let mut trainer = Trainer::new(small.clone(), config(shape, 2)).unwrap();
                let graph = trainer.stepper(&data).unwrap().graph().clone();
                let gathers = graph.nodes().iter().filter(|node| node.call.kernel().name.starts_with("gather_batch"));
                assert_eq!(gathers.count(), calls);
                if examples == 1 {
                    continue;
                }
                for precision in [Precision::F32, Precision::F16] {
                    assert!(trained(&small, precision) == trained(&device, precision), "{examples} of {shape}");
                }
            }
            let error =
                Trainer::new(device.clone().with_largest_binding(len - 1), config(shape, 1)).unwrap().fit(&data);
            let text = error.unwrap_err().to_string();
            assert!(text.contains("no room for 250 images") && text.contains("--limit"), "{text}");
        }
    }
}

#[test]
fn a_batch_larger_than_the_data_is_cut_down() {
    struct Notes(Vec<String>);
    impl Observer for Notes {
        fn note(&mut self, note: &str) {
            self.0.push(note.into());
        }
    }
    let data = spots(50, SHAPE);
    for device in devices() {
        let trained = |batch| {
            let mut config = config(SHAPE, 2);
            config.train.batch = batch;
            let mut trainer = Trainer::new(device.clone(), config).unwrap();
            let mut notes = Notes(Vec::new());
            trainer.fit_watched(&data, &mut notes).unwrap();
            let values = trainer.parameters().unwrap();
            (values, trainer.evaluate(&data).unwrap(), notes.0)
        };
        let count = 45;
        let (cut, exact) = (trained(5000), trained(count));
        assert_eq!(cut.0, exact.0);
        assert!((cut.1.loss - exact.1.loss).abs() < 1e-6 && cut.1.accuracy == exact.1.accuracy);
        assert!(exact.2.is_empty() && cut.2.len() == 1 && cut.2[0].contains("5000"), "{:?}", cut.2);
        assert!(cut.2[0].contains("45 training examples"), "{:?}", cut.2);
    }
}

#[test]
fn the_best_epoch_is_best_in_what_is_monitored() {
    let data = spots(250, SHAPE);
    let device = devices::cpu().unwrap();
    let monitors = [Monitor::ValAccuracy, Monitor::ValLoss, Monitor::TrainAccuracy, Monitor::TrainLoss].map(Some);
    for monitor in monitors.into_iter().chain([None]) {
        let mut config = config(SHAPE, 5);
        config.train.monitor = monitor;
        let text = config.to_toml();
        assert_eq!(Config::parse(&text, "again").unwrap(), config);
        assert_eq!(text.contains("monitor"), monitor.is_some(), "written only where it is not the default");
        let mut trainer = Trainer::new(device.clone(), config).unwrap();
        let records = trainer.fit(&data).unwrap();
        let figures = records.iter().map(|record| match monitor.unwrap_or(Monitor::ValAccuracy) {
            Monitor::ValAccuracy => (record.val_accuracy.unwrap(), record.val_loss.unwrap()),
            Monitor::ValLoss => (-record.val_loss.unwrap(), record.val_loss.unwrap()),
            Monitor::TrainAccuracy => (record.train_accuracy, record.train_loss),
            Monitor::TrainLoss => (-record.train_loss, record.train_loss),
        });
        let best = figures.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        assert_eq!(trainer.checkpoint().unwrap().best, best, "{monitor:?}");
        assert_eq!(trainer.monitor(), Some(monitor.unwrap_or(Monitor::ValAccuracy)));
    }
    let mut config = config(SHAPE, 1);
    (config.data.validation_split, config.train.monitor) = (0.0, Some(Monitor::ValLoss));
    let text = Trainer::new(device.clone(), config.clone()).unwrap().fit(&data).unwrap_err().to_string();
    assert!(text.contains("\"val_loss\" needs examples to validate on") && text.contains("validation_split"), "{text}");
    config.train.monitor = None;
    let mut trainer = Trainer::new(device, config).unwrap();
    trainer.fit(&data).unwrap();
    assert_eq!(trainer.monitor(), Some(Monitor::TrainLoss));
}

/// A loss that is next to nothing is right to five digits, on every device: the oracle is the logarithm in f64.
#[test]
fn losses_near_zero_are_right() {
    let (rows, classes) = (24u32, 10u32);
    let of_row = |row: u32| [12.0, 20.0, 80.0, 7.5, 3.0, 0.5][(row % 6) as usize];
    let logits: Vec<f32> =
        (0..rows * classes).map(|i| if i % classes == 3 { of_row(i / classes) } else { 0.0 }).collect();
    for device in devices() {
        let mut graph = Graph::new();
        let mut external =
            |name: &str, len: u32, element| graph.external(name, len as usize, element, Purpose::Scratch);
        let io = softmax_cross_entropy::Io {
            logits: external("logits", rows * classes, Element::F32),
            labels: external("labels", rows, Element::U32),
            state: external("state", StepState::WORDS as u32, Element::U32),
            d_logits: external("d_logits", rows * classes, Element::F32),
            row_metrics: external("row_metrics", 2 * rows, Element::F32),
        };
        let slices = [&io.logits, &io.labels, &io.state, &io.d_logits, &io.row_metrics].map(Clone::clone);
        graph.push("loss", softmax_cross_entropy::call(io, (rows, classes), 1.0).unwrap());
        let state = StepState { count: rows, ..StepState::default() }.to_words();
        let contents = [Element::F32.pack(&logits), vec![3; rows as usize], state];
        let mut memories: Vec<_> = contents.iter().map(|words| device.upload("input", words).unwrap()).collect();
        memories.extend(slices[3..].iter().map(|slice| device.alloc("output", slice.len).unwrap()));
        let plan = device.prepare(&graph, &slices.iter().zip(&memories).collect::<Vec<_>>()).unwrap();
        plan.run(1).unwrap();
        let found = device.read(&memories[4]).unwrap();
        for row in 0..rows {
            let expected = (9.0 * (-f64::from(of_row(row))).exp()).ln_1p();
            let got = f64::from(f32::from_bits(found[2 * row as usize]));
            let wrong = (got - expected).abs() / expected;
            assert!(wrong < 3e-5, "{}: {got:e} for {expected:e} in row {row}", device.info().name);
        }
    }
}

/// 60,000 steps of one example: the sum is that of f64, whatever adds it up.
#[test]
fn no_loss_is_lost_over_sixty_thousand_steps() {
    const CALLS: u32 = 600;
    // Each row in a binding of its own, which begin at multiples of 64 floats.
    let losses: Vec<f32> = (0..64 * CALLS).map(|i| 0.1 + 0.01 * hash::uniform(1, 2, i)).collect();
    for device in devices() {
        let mut graph = Graph::new();
        let rows = graph.external("row_metrics", losses.len(), Element::F32, Purpose::Scratch);
        let state = graph.external("state", StepState::WORDS, Element::U32, Purpose::State);
        let metrics = graph.external("metrics", Metrics::WORDS, Element::U32, Purpose::State);
        for call in 0..CALLS as usize {
            let mut row_metrics = rows.clone();
            (row_metrics.offset, row_metrics.len) = (64 * call, 2);
            let io = advance_step::Io { row_metrics, state: state.clone(), metrics: metrics.clone() };
            graph.push(
                "step",
                advance_step::call(io, advance_step::Settings { batch: 1, beta1: 0.9, beta2: 0.999 }).unwrap(),
            );
        }
        let begin = StepState { count: 100 * CALLS, ..StepState::default() }.to_words();
        let memories = [
            device.upload("row_metrics", &Element::F32.pack(&losses)).unwrap(),
            device.upload("state", &begin).unwrap(),
            device.alloc("metrics", Metrics::WORDS).unwrap(),
        ];
        let plan =
            device.prepare(&graph, &[&rows, &state, &metrics].into_iter().zip(&memories).collect::<Vec<_>>()).unwrap();
        (0..100).for_each(|_| plan.run(1).unwrap());
        let found = Metrics::from_words(&device.read(&memories[2]).unwrap()).unwrap();
        let mean = losses.iter().step_by(64).map(|loss| f64::from(*loss)).sum::<f64>() / f64::from(CALLS);
        assert_eq!((found.seen, found.steps), (100 * CALLS, 100 * CALLS));
        assert!((found.loss() - mean).abs() < 1e-14, "{}: {} for {mean}", device.info().name, found.loss());
    }
}
