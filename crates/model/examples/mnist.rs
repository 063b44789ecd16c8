//! Trains the reference network on MNIST through the Rust API alone.
//!
//! `cargo run --release -p tilegrad-model --example mnist [FOLDER [EXAMPLES [EPOCHS]]]`

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::path::PathBuf;
use tilegrad_model::{Config, Network, Trainer, conv2d, data, dense, flatten, max_pool};
use tilegrad_runtime::{Device, DeviceChoice, DeviceOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(|| "assets/mnist".into(), PathBuf::from);
    let examples = args.next().map_or(Ok(usize::MAX), |text| text.parse())?;
    let epochs = args.next().map_or(Ok(10), |text| text.parse())?;

    let mnist = data::load(&folder, &data::LoadOptions::default())?;
    let train = mnist.train.head(examples)?;

    let network = Network::builder(train.shape())
        .layer(conv2d(32, 3).relu())
        .layer(max_pool(2))
        .layer(conv2d(64, 3).relu())
        .layer(max_pool(2))
        .layer(conv2d(64, 3).relu())
        .layer(flatten())
        .layer(dense(64).relu())
        .layer(dense(10))
        .build()?;
    let mut config = Config::new(network);
    config.train.epochs = epochs;

    let device = Device::open(&DeviceChoice::Auto, DeviceOptions::default())?;
    println!("{} ({})", device.info().name, device.info().reason);

    let mut trainer = Trainer::new(device, config)?;
    for epoch in trainer.fit(&train)? {
        println!("epoch {}: loss {:.4}, {:.0} images/s", epoch.epoch, epoch.train_loss, epoch.images_per_s);
    }
    if let Some(test) = &mnist.test {
        let result = trainer.evaluate(test)?;
        println!("test loss {:.4}, test accuracy {:.4}", result.loss, result.accuracy);
    }
    trainer.save("mnist.safetensors".as_ref())?;
    println!("saved mnist.safetensors");
    Ok(())
}
