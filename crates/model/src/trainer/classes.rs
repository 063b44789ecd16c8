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
