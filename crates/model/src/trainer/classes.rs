//! Whose classes they are: the network's, or the data's.

use super::Trainer;
use super::device_data::{DeviceData, check};
use crate::ModelError;
use crate::data::{ClassRule, Dataset};
use std::borrow::Cow;

impl Trainer {
    /// The labels of `data` as outputs of the network: by name if its classes have names, else by position.
    pub(super) fn labels<'a>(&self, data: &'a Dataset) -> Result<Cow<'a, [u32]>, ModelError> {
        check(&self.config, data)?;
        let (classes, outputs) = (data.classes().len(), self.classes.len());
        if !self.named && classes > outputs {
            let problem = format!(
                "{} has {classes} classes, the network has {outputs} outputs; give its last layer {classes} units",
                data.name()
            );
            return Err(ModelError::Mismatch(problem));
        }
        let rule = if self.named { ClassRule::default() } else { ClassRule::ByPosition };
        Ok(data.labels_among(&self.classes, &rule)?)
    }

    /// `data` on the device, with labels among the network's outputs.
    pub(super) fn upload(&self, data: &Dataset) -> Result<DeviceData, ModelError> {
        DeviceData::upload(&self.device, &self.config, data, &self.labels(data)?)
    }

    /// Names the classes as `data` does, unless they have names. Outputs beyond the data's classes keep their numbers.
    pub(super) fn adopt_classes(&mut self, data: &Dataset) {
        if self.named {
            return;
        }
        let rest = (data.classes().len()..self.classes.len()).map(|output| {
            let number = output.to_string();
            if data.classes().contains(&number) { format!("output {number}") } else { number }
        });
        self.classes = data.classes().iter().cloned().chain(rest).collect();
        self.named = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageShape, TrainingData};
    use crate::{Config, Network, dense, flatten};
    use tilegrad_runtime::{Device, DeviceChoice};

    const SHAPE: ImageShape = ImageShape { height: 1, width: 3, channels: 1 };

    fn trainer(outputs: u32) -> Trainer {
        let network = Network::builder(SHAPE).layer(flatten()).layer(dense(outputs)).build().unwrap();
        let mut config = Config::new(network);
        (config.train.epochs, config.train.batch) = (3, 4);
        Trainer::new(Device::open(&DeviceChoice::Cpu, Default::default()).unwrap(), config).unwrap()
    }

    /// Twelve images; the class of each is its brightest pixel, called by that pixel's name in `names`.
    fn data(names: [&str; 3], order: [u32; 3]) -> Dataset {
        let pixels = (0..12).flat_map(|i| (0..3).map(move |at| if i % 3 == at { 200 } else { (i * 5 + at) as u8 }));
        let labels = (0..12).map(|i| order[i % 3]).collect();
        let mut classes = [""; 3];
        (0..3).for_each(|at| classes[order[at] as usize] = names[at]);
        Dataset::new("d", SHAPE, pixels.collect(), labels, classes.map(str::to_owned).to_vec()).unwrap()
    }

    #[test]
    fn a_new_network_takes_the_names_and_keeps_them() {
        let mut trainer = trainer(4);
        let first = data(["a", "b", "3"], [0, 1, 2]);
        trainer.fit(&first).unwrap();
        assert_eq!(trainer.classes(), ["a", "b", "3", "output 3"]);
        let shuffled = data(["a", "b", "3"], [2, 0, 1]);
        assert_ne!(shuffled.classes(), first.classes());
        assert_eq!(trainer.evaluate(&shuffled).unwrap(), trainer.evaluate(&first).unwrap());
        assert_eq!(trainer.report(&shuffled).unwrap(), trainer.report(&first).unwrap());
        let mut resumed = Trainer::resume(trainer.device().clone(), trainer.checkpoint().unwrap()).unwrap();
        resumed.set_epochs(5);
        trainer.set_epochs(5);
        resumed.fit(&shuffled).unwrap();
        trainer.fit(&first).unwrap();
        assert_eq!(resumed.checkpoint().unwrap().parameters, trainer.checkpoint().unwrap().parameters);
        let error = trainer.evaluate(&data(["a", "b", "c"], [0, 1, 2])).unwrap_err().to_string();
        assert!(
            error.starts_with("d: the classes are not the model's: new are c, missing are 3, output 3;"),
            "{error}"
        );
        assert!(trainer.fit(&data(["a", "b", "c"], [0, 1, 2])).is_err());
    }

    #[test]
    fn a_network_without_names_has_room_or_says_so() {
        let error = trainer(2).fit(&data(["a", "b", "c"], [0, 1, 2])).unwrap_err().to_string();
        assert!(error.contains("d has 3 classes, the network has 2 outputs; give its last layer 3 units"), "{error}");
    }

    #[test]
    fn a_validation_set_of_its_own_is_what_is_validated_on() {
        let train = data(["a", "b", "c"], [0, 1, 2]);
        let own = data(["a", "b", "c"], [2, 0, 1]).head(7).unwrap();
        let mut trainer = trainer(3);
        let records = trainer.fit(TrainingData { train: &train, validation: Some(&own) }).unwrap();
        let last = records.last().unwrap();
        let evaluated = trainer.evaluate(&own).unwrap();
        assert_eq!((last.val_loss, last.val_accuracy), (Some(evaluated.loss), Some(evaluated.accuracy)));
        // All twelve examples are trained on: three steps of four in each epoch.
        assert_eq!(last.step, 9);
    }
}
