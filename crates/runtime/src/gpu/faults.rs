//! Errors that wgpu reports when nobody asks: kept until somebody does.

use crate::RuntimeError;
use std::sync::{Arc, Mutex, PoisonError};

/// The first fault of a device; it stays, because nothing after it can be trusted.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Option<RuntimeError>>>);

impl Faults {
    /// Listens to everything that goes wrong on `device`.
    pub fn watch(device: &wgpu::Device, name: &str) -> Self {
        let faults = Self::default();
        let (refused, lost) = (faults.clone(), faults.clone());
        let (refused_name, lost_name) = (name.to_owned(), name.to_owned());
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            refused.record(refusal(&refused_name, &error));
        }));
        device.set_device_lost_callback(move |reason, message| {
            // Dropping the last handle also counts as losing the device.
            if reason != wgpu::DeviceLostReason::Destroyed {
                lost.record(RuntimeError::Lost { device: lost_name.clone(), problem: one_line(&message) });
            }
        });
        faults
    }

    /// Keeps `error` if it is the first.
    pub fn record(&self, error: RuntimeError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The first fault so far.
    pub fn check(&self) -> Result<(), RuntimeError> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

/// A wgpu error as one of ours.
pub fn refusal(device: &str, error: &wgpu::Error) -> RuntimeError {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            RuntimeError::OutOfMemory { device: device.into(), buffer: "of the driver's own".into(), bytes: 0 }
        }
        _ => RuntimeError::Refused { device: device.into(), problem: one_line(&error.to_string()) },
    }
}

/// `text` on one line, for messages that must not sprawl.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
